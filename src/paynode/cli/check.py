"""`paynode check`: would this node start, and work? Judged before it does; nothing is changed."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from paynode.cli.branches import branches, refuse_own_treasuries
from paynode.cli.check_networks import provider_answers
from paynode.cli.config_file import config_option, load
from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import now, opened
from paynode.cli.printing import print_json
from paynode.cli.problems import Failure, told
from paynode.config import Config, ConfigMistakes, Family
from paynode.operations.catalogue import Catalogue
from paynode.operations.startup import Branch
from paynode.operations.sweeps import is_own_address
from paynode.store import holdings, stores
from paynode.store.database import Tx
from paynode.store.sweeps import TreasuryRecord

FREE_BYTES_MIN = 1 << 30  # a busy year's database and its backups' drafts
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    subject: str
    text: str  # of a problem: with its remedy
    exit_code: int = ExitCode.OK

    @property
    def is_ok(self) -> bool:
        return self.exit_code == ExitCode.OK


@click.command("check")
@config_option
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("--offline", "is_offline", is_flag=True, help="Ask no provider.")
def check(config_path: Path, is_json: bool, is_offline: bool) -> None:
    """Check config, secrets, data, treasuries and networks.

    Every problem comes with a remedy. The exit code is the first problem's.
    """
    findings = _findings(config_path, is_offline=is_offline)
    if is_json:
        print_json([{"subject": each.subject, "ok": each.is_ok, "text": each.text} for each in findings])
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            verdict = "ok     " if finding.is_ok else "PROBLEM"
            click.echo(f"{verdict}  {finding.subject.ljust(width)}  {finding.text}")
    raise SystemExit(next((finding.exit_code for finding in findings if not finding.is_ok), ExitCode.OK))


def _findings(config_path: Path, *, is_offline: bool) -> list[Finding]:
    try:
        config = load(config_path)
    except ConfigMistakes as mistakes:
        return [
            Finding(each.key or "config", f"{each.problem}. {each.remedy}.", ExitCode.CONFIG)
            for each in mistakes.mistakes
        ]
    except OSError as problem:
        return [Finding("config", f"{config_path}: {problem.strerror}.", ExitCode.IO)]
    found = [Finding("config", _summary(config))]
    ours: list[Branch] = []
    found.append(_judged("keys", partial(_keys, config, ours)))
    found.append(_judged("data_dir", partial(_data_dir, config.node.data_dir)))
    found.append(_judged("database", partial(_database, config, ours)))
    if not is_offline:
        for network in config.enabled_networks:
            for url in network.rpc:
                name = f"{network.name}, {url.name}"
                found.append(_judged(name, partial(provider_answers, network, url)))
    return found


def _judged(subject: str, judge: Callable[[], str]) -> Finding:
    """What `judge` says, or the problem it ends with."""
    try:
        with told():
            try:
                return Finding(subject, judge())
            except ConfigMistakes as mistakes:
                return Finding(subject, " ".join(map(str, mistakes.mistakes)), ExitCode.CONFIG)
    except Failure as failure:
        return Finding(subject, failure.message, failure.exit_code)


def _summary(config: Config) -> str:
    networks = ", ".join(network.name for network in config.enabled_networks)
    return f"{config.path}: mode {config.node.mode}; networks {networks}; stores {', '.join(config.stores)}"


def _keys(config: Config, ours: list[Branch]) -> str:
    """The mnemonic or xpub is whole, and no treasury is its own; what it makes is added to `ours`."""
    ours += branches(config)
    refuse_own_treasuries(config, ours)
    gas = [f"store account {branch.account}: gas station {branch.gas_address}" for branch in ours if branch.gas_address]
    return "; ".join(gas) or "watch only: nothing is signed here"


def _data_dir(path: Path) -> str:
    if not path.is_dir():
        raise Failure(ExitCode.DATABASE, f"there is no {path}. Run `paynode init`.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise Failure(ExitCode.IO, f"{path} cannot be written by this user. Make paynode's user its owner.")
    if path.stat().st_mode & 0o077:
        raise Failure(ExitCode.PROBLEM, f"other users may look into {path}. Run: chmod 700 {path}")
    free = shutil.disk_usage(path).free
    if free < FREE_BYTES_MIN:
        wanted = FREE_BYTES_MIN // MIB
        raise Failure(ExitCode.IO, f"the disk of {path} has {free // MIB} MiB left. Make room: {wanted} MiB at least.")
    return f"{path}, {free // MIB} MiB free"


def _database(config: Config, ours: Sequence[Branch]) -> str:
    with opened(config) as (database, catalogue):
        database.check_whole()
        database.read(_refuse_contradictions, catalogue, ours)
        return f"{config.node.database} is whole and this node's"


def _refuse_contradictions(tx: Tx, catalogue: Catalogue, ours: Sequence[Branch]) -> None:
    known_stores = {record.name: record for record in stores.all_stores(tx)}
    for name, store in catalogue.config.stores.items():
        if name not in known_stores:
            raise Failure(ExitCode.CONFIG, f"store {name} is not in the database yet. Run `paynode init`.")
        if known_stores[name].account != store.account:
            text = f"store {name} was made with account {known_stores[name].account}. Put that back into the config."
            raise Failure(ExitCode.CONFIG, text)
    for branch in ours:
        known = stores.account(tx, branch.family, branch.account)
        if known is None:
            raise Failure(ExitCode.CONFIG, f"account {branch.account} has no branch yet. Run `paynode init`.")
        if known.xpub != branch.xpub:
            text = f"account {branch.account} was made from another mnemonic or xpub. Put the right one back."
            raise Failure(ExitCode.CONFIG, text)
    for store_id, name in catalogue.store_keys.items():
        for network in catalogue.networks:
            _refuse_own_treasury(tx, catalogue, store_id, name, network)


def _refuse_own_treasury(tx: Tx, catalogue: Catalogue, store_id: str, name: str, network: str) -> None:
    treasury = catalogue.config.treasury(name, network)
    if treasury is None:
        return
    record = TreasuryRecord(network, store_id, treasury, now())
    is_issued = holdings.address(tx, Family.EVM, treasury) is not None
    if is_issued or is_own_address(tx, catalogue, network, record):
        text = f"the treasury of {network} is one of this node's own addresses. Name one that only you hold the key to."
        raise Failure(ExitCode.CONFIG, text)
