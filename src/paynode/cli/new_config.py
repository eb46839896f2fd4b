"""The config that `init` writes: short, commented, and the merchant's answers in it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure
from paynode.config import Mode
from paynode.config.evm import parse_treasury
from paynode.config.mistakes import Wrong
from paynode.config.networks import presets
from paynode.config.rates import EXCHANGES
from paynode.config.secrets import Credentials

SYSTEM_FOLDER, SYSTEM_DATA = Path("/etc/paynode"), "/var/lib/paynode"
LOCAL_DATA = "paynode-data"
TEST_COIN_PRICE = "1000"  # of a coin without worth: a little of it, as faucets give, pays for small orders

NODE = """\
# paynode. Every other setting, explained: config.example.toml. Durations are texts such as "15m", amounts stand in
# quotes. `paynode check` tells every mistake before a start.
#
# Secrets never stand here. They come from a systemd credential, from a file of that name beside this one (mode 0600),
# or, for {{credential:NAME}} in a URL, from the environment variable PAYNODE_CREDENTIAL_NAME.

[node]
# "live": real money. "test": test networks. "sim": a chain inside the process. It never changes for one data_dir.
mode = {mode}

# The database and nothing else; one node per folder. Relative to this file.
data_dir = {data_dir}

# Where HTTP is served: keep it local, with a reverse proxy that speaks TLS in front.
listen = ["127.0.0.1:8080"]

# What every link we print begins with; payers must reach it.
{public_url}
"""
HOT = """
[custody]
# This node holds the keys and collects to the treasuries below. Whoever reads this file owns the deposits; whoever
# loses it has lost them: back it up, offline.
mode = "hot"
mnemonic_file = "mnemonic"
"""
WATCH = """
[custody]
# Nobody here can spend: the node sees every payment, and you collect with your own wallet.
mode = "watch"
xpub.evm = {xpub}  # of account 0, m/44'/60'/0'
"""
NETWORK = """
# A preset: its chain id, tokens, explorer and depths are known. Others that are known and added the same way:
# {others}.
[networks.{name}]
# Asked in this order; with two or more, one confirms what another says. A key goes in by its name:
# "https://rpc.example.com/{{credential:rpc_key}}".
rpc = {rpc}
{treasury}"""
TREASURY = """
# Where the money is collected: an address of your own wallet. It is settable nowhere else.
treasury = {treasury}
"""
STORE = """
[stores.main]
name = "My shop"
account = 0

[rates]
"""
FIXED_RATES = """\
# What one whole coin costs; without a rate, a coin cannot pay for prices in that currency. Coins to test with are
# worth nothing: these prices are made up.
static = {{ {rates} }}
"""
LIVE_RATES = """\
# Who is asked what coins cost. A token of your own needs a fixed price instead: static = {{ "token/USD" = "1" }}
sources = [{sources}]
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What `init` was told, by flags or by a person."""

    mode: str | None
    network: str | None
    rpc: tuple[str, ...]
    treasury: str | None
    xpub: str | None
    public_url: str | None
    data_dir: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The flags without which there is no config."""
        if self.mode == Mode.SIM:
            return ()
        named = {
            "--mode": self.mode,
            "--network": self.network,
            "--rpc": self.rpc,
            "--treasury": self.treasury or self.xpub,
        }
        return tuple(flag for flag, value in named.items() if not value)


def ask(answers: Answers, folder: Path) -> Answers:
    """The answers, with those that are missing asked for, and asked for again if they cannot be right."""
    if answers.mode is None:
        modes = click.Choice([mode.value for mode in Mode])
        answers = replace(
            answers, mode=click.prompt("What is its money worth", type=modes, default=Mode.TEST.value, err=True)
        )
    if answers.mode == Mode.SIM:
        return answers
    if not answers.network:
        is_test = answers.mode == Mode.TEST
        known = [name for name, preset in presets().items() if is_test is bool(preset.get("testnet"))]
        answers = replace(answers, network=click.prompt("Network", type=click.Choice(known), err=True))
    if not answers.rpc:
        is_url = _checked(Credentials(folder, os.environ).rpc_url)
        answers = replace(answers, rpc=(click.prompt("URL of its RPC provider", value_proc=is_url, err=True),))
    if not (answers.treasury or answers.xpub):
        question = "Treasury: an address of your own wallet"
        answers = replace(answers, treasury=click.prompt(question, value_proc=_checked(parse_treasury), err=True))
    return answers


def _checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """What click asks again about: an answer that the config would not take."""

    def checked(answer: str) -> str:
        try:
            parse(answer)
        except Wrong as wrong:
            raise click.UsageError(f"It {wrong.problem}. {wrong.remedy}.") from None
        return answer

    return checked


def render(answers: Answers, folder: Path) -> str:
    """The config's text, for a file in `folder`; `load_config` has the last word on it."""
    assert not answers.missing, "the caller has asked"
    data_dir = answers.data_dir or (SYSTEM_DATA if folder == SYSTEM_FOLDER else LOCAL_DATA)
    public_url = f"public_url = {_quoted(answers.public_url or 'https://pay.example.com')}"
    parts = [
        NODE.format(
            mode=_quoted(answers.mode or ""),
            data_dir=_quoted(data_dir),
            public_url=public_url if answers.public_url else f"#{public_url}",
        )
    ]
    if answers.mode == Mode.SIM:
        return "".join([*parts, STORE, FIXED_RATES.format(rates='"sim/USD" = "1", "usdt/USD" = "1"')])
    parts.append(WATCH.format(xpub=_quoted(answers.xpub)) if answers.xpub else HOT)
    parts.append(_network(answers))
    parts.append(STORE)
    if answers.mode == Mode.LIVE:
        parts.append(LIVE_RATES.format(sources=", ".join(map(_quoted, EXCHANGES))))
    else:
        rates = {_native(answers.network): TEST_COIN_PRICE, "usdt": "1", "usdc": "1"}
        parts.append(FIXED_RATES.format(rates=", ".join(f'"{coin}/USD" = "{price}"' for coin, price in rates.items())))
    return "".join(parts)


def _native(network: str | None) -> str:
    """The symbol of a known network's own coin."""
    native = presets()[network or ""]["native"]
    assert isinstance(native, dict), "presets.toml is ours"
    return str(native["symbol"])


def _network(answers: Answers) -> str:
    known = presets()
    if answers.network not in known:
        text = f"--network knows {', '.join(known)}. For another network take config.example.toml and edit it."
        raise Failure(ExitCode.USAGE, text)
    treasury = TREASURY.format(treasury=_quoted(answers.treasury)) if answers.treasury else ""
    rpc = f"[{', '.join(map(_quoted, answers.rpc))}]"
    return NETWORK.format(
        name=answers.network,
        others=", ".join(name for name in known if name != answers.network),
        rpc=rpc,
        treasury=treasury,
    )


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False)
