"""TOML -> `Config`: every mistake is found before any is reported, and a config that holds a secret is refused."""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from stat import S_ISREG
from types import MappingProxyType

from paynode.config.mistakes import ConfigMistakes, Mistake, Wrong
from paynode.config.networks import read_networks
from paynode.config.rates import read_rates
from paynode.config.screening import read_screening
from paynode.config.secrets import Credentials, betrayed
from paynode.config.shapes import (
    Config,
    Custody,
    CustodyMode,
    Family,
    Mode,
    Network,
    Node,
    Store,
)
from paynode.config.stores import read_stores, read_xpub
from paynode.config.table import Reading, Table
from paynode.config.terms import read_terms
from paynode.config.values import (
    base_url,
    duration,
    list_of,
    listen_address,
    one_of,
    proxy_network,
    target,
    text,
)

FILE_BYTES_MAX = 256 * 1024  # a config of a hundred networks has a tenth of it
DEPTH_MAX = 10  # no key stands deeper than five
ACCOUNT_MAX = (1 << 31) - 1  # BIP-32: hardened indices

_STORE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


def load_config(path: Path, *, environ: Mapping[str, str], require_mnemonic: bool = True) -> Config:
    """The config in the file at `path`.

    `init` passes `require_mnemonic=False`, since it makes the mnemonic's file.

    Raises:
        ConfigMistakes: with everything that is wrong; the documented exit code is 78 (EX_CONFIG).
    """
    reading = Reading()
    values = _parse(path)
    for secret in betrayed(values):
        reading.note(secret.key, secret.problem, secret.remedy)
    top = Table(values, reading)
    credentials = Credentials(path.absolute().parent, environ)
    config = read_config(top, reading, path.absolute(), credentials, require_mnemonic=require_mnemonic)
    if reading.mistakes:
        raise ConfigMistakes(reading.mistakes)
    return config


def read_config(
    top: Table, reading: Reading, path: Path, credentials: Credentials, *, require_mnemonic: bool
) -> Config:
    """The config that `top` describes; worth nothing if it leaves mistakes in `reading`."""
    with top:
        mode, node = _node(top, path.parent)
        custody, xpub = _custody(top, mode, credentials, require_mnemonic=require_mnemonic)
        networks = read_networks(top, reading, mode, credentials)
        unasked = [each.name for each in networks.values() if each.is_enabled and each.sanctions_oracle is None]
        screening = read_screening(top, path.parent, credentials, unasked)
        invoices = read_terms(top)
        stores = read_stores(top, reading, custody, xpub, screening, unasked, invoices)
        rates, static_rates = read_rates(top, mode, credentials)
        with top.table("webhooks") as webhooks:
            allow = webhooks.optional("allow", list_of(target), ())
    _check_treasuries(networks, stores, custody, reading)
    return Config(
        path,
        node,
        custody,
        MappingProxyType(networks),
        MappingProxyType(stores),
        invoices,
        rates,
        static_rates,
        allow,
        screening,
    )


def _parse(path: Path) -> dict[str, object]:
    """The file's tables."""
    try:
        if not S_ISREG(path.stat().st_mode):  # a pipe would have us wait for whoever writes into it
            raise ConfigMistakes([Mistake("", f"{path} is not a file", "Name the config file with -c")])
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}"
        raise ConfigMistakes([Mistake("", problem, "Name the config file with -c, or make one with `init`")]) from None
    if len(content) > FILE_BYTES_MAX:
        problem = f"{path} is longer than {FILE_BYTES_MAX} bytes"
        raise ConfigMistakes([Mistake("", problem, "Name the config file with -c")])
    try:
        # Decimal, so that a number without quotes is what was written and not the nearest binary float.
        values = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError:  # it carries the content, so it goes no further
        raise ConfigMistakes([Mistake("", f"{path} is not UTF-8 text", "Save it as UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        problem = f"{path} is not TOML: {error}"
        raise ConfigMistakes([Mistake("", problem, "Correct that line; https://toml.io explains the format")]) from None
    except RecursionError:
        raise _too_deep(path) from None
    if _is_deeper(values, DEPTH_MAX):
        raise _too_deep(path)
    return values


def _too_deep(path: Path) -> ConfigMistakes:
    problem = f"{path} has tables or lists in each other, more than {DEPTH_MAX} deep"
    return ConfigMistakes([Mistake("", problem, "Name the config file with -c")])


def _is_deeper(value: object, depth_max: int) -> bool:
    level = [value]
    for _ in range(depth_max + 1):
        tables = [inner for each in level if isinstance(each, dict) for inner in each.values()]
        level = [*tables, *(inner for each in level if isinstance(each, list) for inner in each)]
    return bool(level)


def _node(top: Table, folder: Path) -> tuple[Mode | None, Node]:
    """The node's own settings; the mode apart, None if the file has none, so that nothing else is judged by a guess."""
    with top.table("node") as node:
        remedy = 'Write mode = "live" for real money, "test" for test networks, "sim" for a simulated chain'
        mode = node.required("mode", one_of(Mode), remedy)
        listen = node.optional("listen", list_of(listen_address, length_max=8), ("127.0.0.1:8080",))
        if not listen:
            node.note("listen", "names no address", 'Write ["127.0.0.1:8080"], or remove the key')
        return mode, Node(
            mode=mode or Mode.LIVE,
            data_dir=folder / node.optional("data_dir", text, "/var/lib/paynode"),
            listen=listen,
            public_url=node.optional("public_url", base_url, f"http://{listen[0]}" if listen else ""),
            trusted_proxies=node.optional("trusted_proxies", list_of(proxy_network), ()),
        )


def _custody(
    top: Table, mode: Mode | None, credentials: Credentials, *, require_mnemonic: bool
) -> tuple[Custody, str | None]:
    """How keys are held, and account 0's extended public key under watch."""
    with top.table("custody") as custody:
        custody_mode = custody.optional("mode", one_of(CustodyMode), CustodyMode.HOT)
        file = credentials.file(custody.optional("mnemonic_file", text, "mnemonic"))
        xpub = read_xpub(custody, custody_mode)
        delay = custody.optional("treasury_change_delay", duration(timedelta(0), 30 * _DAY), _DAY)
        is_required = require_mnemonic and mode is not Mode.SIM
        is_there = file.path.exists()
        if custody_mode is CustodyMode.HOT and is_required and not is_there:
            remedy = f"Put it into {file.path} with mode 0600; for a new node, `paynode init --new-mnemonic` makes one"
            custody.note("mnemonic_file", "names no file: there is no mnemonic", remedy)
        elif custody_mode is CustodyMode.HOT and is_there:
            try:
                file.check()
            except Wrong as wrong:
                custody.note("mnemonic_file", wrong.problem, wrong.remedy)
    is_absent = custody_mode is CustodyMode.WATCH or (mode is Mode.SIM and not is_there)
    mnemonic = None if is_absent else file
    return Custody(custody_mode, mnemonic, delay), xpub


def _check_treasuries(
    networks: Mapping[str, Network], stores: Mapping[str, Store], custody: Custody, reading: Reading
) -> None:
    """Every store's money must have somewhere to go, and never to a contract that cannot give it back."""
    contracts = {token.contract for network in networks.values() for token in network.tokens.values()}
    trap = ("is a token's contract: money sent there is lost", "Name an address of your own wallet")
    for store in stores.values():
        for name, treasury in store.treasuries.items():
            if name not in networks:
                remedy = f"Networks here: {', '.join(networks)}"
                reading.note(f"stores.{store.id}.treasury.{name}", "is for a network that is not configured", remedy)
            if treasury in contracts:
                reading.note(f"stores.{store.id}.treasury.{name}", *trap)
    for name, network in networks.items():
        key = f"networks.{name}.treasury"
        if network.treasury in contracts:
            reading.note(key, *trap)
        is_needed = network.is_enabled and network.family is Family.EVM and custody.mode is CustodyMode.HOT
        has_own = all(name in store.treasuries for store in stores.values())
        if is_needed and network.treasury is None and not has_own:
            problem = "is missing: there is nowhere to collect the money to"
            reading.note(
                key, problem, 'Name an address of your own wallet, or hold the keys yourself: custody.mode = "watch"'
            )
