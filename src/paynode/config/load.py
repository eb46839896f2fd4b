"""TOML -> `Config`: every mistake is found before any is reported, and a config that holds a secret is refused."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from stat import S_ISREG
from types import MappingProxyType

from paynode.config.evm import account_of, parse_account_xpub, parse_treasury
from paynode.config.mistakes import ConfigMistakes, Mistake, Wrong
from paynode.config.networks import read_networks
from paynode.config.rates import read_rates
from paynode.config.screening import read_policy, read_screening, unscreened
from paynode.config.secrets import Credentials, betrayed
from paynode.config.shapes import (
    Config,
    Custody,
    CustodyMode,
    Family,
    InvoiceDefaults,
    LatePayment,
    Mode,
    Network,
    Node,
    PayerAddresses,
    Screening,
    Store,
)
from paynode.config.table import Reading, Table
from paynode.config.values import (
    base_url,
    boolean,
    decimal,
    duration,
    list_of,
    listen_address,
    one_of,
    origin,
    proxy_network,
    target,
    text,
    whole,
)
from paynode.domain.addresses import REST_MAX, REST_MIN, AddressMode, AddressPolicy
from paynode.domain.invoice import Tolerance

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
        stores = _stores(top, reading, custody, xpub, screening, unasked)
        invoices = _invoices(top)
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
        xpub = _xpub(custody, custody_mode)
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


def _xpub(table: Table, mode: CustodyMode) -> str | None:
    with table.table("xpub") as xpub:
        if "evm" in xpub and mode is not CustodyMode.WATCH:
            problem = 'is only for custody.mode = "watch": this node derives addresses from its mnemonic'
            xpub.note("evm", problem, 'Remove it, or set custody.mode = "watch"')
        return xpub.optional("evm", parse_account_xpub, None)


def _stores(
    top: Table, reading: Reading, custody: Custody, xpub: str | None, screening: Screening, unasked: Sequence[str]
) -> dict[str, Store]:
    stores: dict[str, Store] = {}
    for store_id, table in top.table("stores").named_tables():
        if not _STORE_ID.fullmatch(store_id):
            table.note("", "is not a store's id", "Write up to 32 of a-z, 0-9, - and _")
        with table as store:
            treasuries = {}
            own = store.table("treasury")
            for network, value in own.named_values():
                try:
                    treasuries[network] = parse_treasury(value)
                except Wrong as wrong:
                    own.note(network, wrong.problem, wrong.remedy)
            stores[store_id] = Store(
                id=store_id,
                name=store.optional("name", text, store_id),
                account=store.optional("account", whole(0, ACCOUNT_MAX), 0),
                treasuries=MappingProxyType(treasuries),
                xpub_evm=_xpub(store, custody.mode),
                payer_may_cancel=store.optional("payer_may_cancel", boolean, False),
                allowed_origins=store.optional("allowed_origins", list_of(origin), ()),
                screening=read_policy(store.table("screening"), screening.policy, unscreened(screening, unasked)),
            )
    if not stores:
        nothing = MappingProxyType[str, str]({})
        stores["main"] = Store(
            "main", "main", 0, nothing, None, payer_may_cancel=False, allowed_origins=(), screening=screening.policy
        )
    id_by_account: dict[int, str] = {}
    for store_id, each in stores.items():
        if (other := id_by_account.setdefault(each.account, store_id)) != store_id:
            remedy = "Give each store an account of its own: two on one would share addresses"
            reading.note(f"stores.{store_id}.account", f"is also that of stores.{other}", remedy)
    if custody.mode is CustodyMode.WATCH:
        stores = {store_id: _watched(store, xpub, reading) for store_id, store in stores.items()}
    return stores


def _watched(store: Store, xpub: str | None, reading: Reading) -> Store:
    """The store with its account's extended public key: its own, or for account 0 custody's."""
    is_own = store.xpub_evm is not None
    key = f"stores.{store.id}.xpub.evm" if is_own or store.account else "custody.xpub.evm"
    used = store.xpub_evm or (xpub if store.account == 0 else None)
    remedy = f"Export the extended public key of account {store.account}, m/44'/60'/{store.account}'"
    if used is None:
        reading.note(key, "is missing, and watch has no other way to addresses", remedy)
    elif account_of(used) != store.account:
        reading.note(key, f"is the key of account {account_of(used)}, not {store.account}", remedy)
    return replace(store, xpub_evm=used)


def _invoices(top: Table) -> InvoiceDefaults:
    with top.table("invoices") as invoices:
        with invoices.table("tolerance") as written:
            tolerance = Tolerance(
                under_percent=written.optional("under_percent", decimal(Decimal(0), Decimal(50), 4), Decimal(0)),
                over_percent=written.optional("over_percent", decimal(Decimal(0), Decimal(100), 4), Decimal(0)),
            )
        with invoices.table("address_policy") as policy:
            address_policy = AddressPolicy(
                mode=policy.optional("mode", one_of(AddressMode), AddressMode.FRESH),
                rest=policy.optional("rest", duration(REST_MIN, REST_MAX), None),
            )
            if address_policy.mode is AddressMode.FRESH and address_policy.rest is not None:
                policy.note("rest", "is only for addresses that are used again", 'Remove it, or set mode = "reuse"')
        with invoices.table("payer_addresses") as caps:
            payer_addresses = PayerAddresses(
                per_client_hour=caps.optional("per_client_hour", whole(1, 1_000_000), 100),
                per_store_day=caps.optional("per_store_day", whole(1, 1_000_000), 5000),
            )
        return InvoiceDefaults(
            expires_in=invoices.optional("expires_in", duration(_MINUTE, 365 * _DAY), 30 * _MINUTE),
            monitor_for=invoices.optional("monitor_for", duration(60 * _MINUTE, 365 * _DAY), 7 * _DAY),
            quote_valid_for=invoices.optional("quote_valid_for", duration(_MINUTE, _DAY), 15 * _MINUTE),
            late_payment=invoices.optional("late_payment", one_of(LatePayment), LatePayment.REVIEW),
            tolerance=tolerance,
            address_policy=address_policy,
            payer_addresses=payer_addresses,
        )


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
