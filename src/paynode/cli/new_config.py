"""The config that `init` writes: short, commented, and the merchant's answers in it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import click

from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure
from paynode.config import Mode
from paynode.config.networks import presets
from paynode.config.rates import EXCHANGES

SYSTEM_FOLDER, SYSTEM_DATA = Path("/etc/paynode"), "/var/lib/paynode"
LOCAL_DATA = "paynode-data"

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
# What one whole coin costs; without a rate, a coin cannot pay for prices in that currency.
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
        if self.mode is None:
            return ("--mode",)
        if self.mode == Mode.SIM:
            return ()
        named = {"--network": self.network, "--rpc": self.rpc, "--treasury": self.treasury or self.xpub}
        return tuple(flag for flag, value in named.items() if not value)


def ask(answers: Answers) -> Answers:
    """The answers, with those that are missing asked for."""
    if answers.mode is None:
        modes = click.Choice([mode.value for mode in Mode])
        answers = replace(
            answers, mode=click.prompt("What is its money worth", type=modes, default=Mode.TEST.value, err=True)
        )
    if answers.mode == Mode.SIM:
        return answers
    if not answers.network:
        known = [name for name, preset in presets().items() if answers.mode == Mode.TEST or not preset.get("testnet")]
        answers = replace(answers, network=click.prompt("Network", type=click.Choice(known), err=True))
    if not answers.rpc:
        answers = replace(answers, rpc=(click.prompt("URL of its RPC provider", err=True),))
    if not (answers.treasury or answers.xpub):
        answers = replace(answers, treasury=click.prompt("Treasury: an address of your own wallet", err=True))
    return answers


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
        parts.append(FIXED_RATES.format(rates='"usdt/USD" = "1", "usdc/USD" = "1"'))
    return "".join(parts)


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
