"""`paynode init`: what a node needs before its first start. It adds what is missing and overwrites nothing."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from paynode.cli.branches import branches, refuse_own_treasuries
from paynode.cli.config_file import config_option, load
from paynode.cli.exit_codes import ExitCode
from paynode.cli.new_config import Answers, ask, render
from paynode.cli.new_files import beside, make_folder, put_in_place, write_synced
from paynode.cli.opening import now
from paynode.cli.problems import Failure, told
from paynode.config import Config, Mode
from paynode.domain.scopes import DEFAULT_SCOPES
from paynode.operations import startup
from paynode.operations.api_keys import Terms, create_key
from paynode.operations.startup import Branch
from paynode.store import api_keys, lock, stores
from paynode.store import database as databases
from paynode.store.database import Tx

FIRST_STORE = "main"
DRAFT_SUFFIXES = ("", "-wal", "-shm")


@click.command("init")
@config_option
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="What its money is worth.")
@click.option("--network", metavar="NAME", help="A network we know, such as eth, polygon or sepolia.")
@click.option("--rpc", multiple=True, metavar="URL", help="Its RPC provider; may be repeated.")
@click.option("--treasury", metavar="ADDRESS", help="Where the money is collected: your own wallet.")
@click.option("--xpub", help="Watch only: the extended public key of account 0, in place of a mnemonic.")
@click.option("--public-url", metavar="URL", help="What every link begins with.")
@click.option("--data-dir", metavar="PATH", help="Where the database is to live.")
@click.option("--new-mnemonic", is_flag=True, help="Make the mnemonic that an existing config names.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
def init(config_path: Path, new_mnemonic: bool, is_sure: bool, **flags: object) -> None:
    """Make a new node's config, mnemonic, database and first API key.

    \b
    Without a config it writes one, and a new mnemonic unless a file is there or --xpub is given.
    With a config it makes only what is missing in the database: the whole of it, or the branches of new stores.

    On a terminal it asks for what no flag says. The API key goes to stdout, this once; all else to stderr.
    """
    with told():
        if config_path.exists():
            _refuse_answers(config_path, flags)
        else:
            _write_config(config_path, Answers(**flags), is_sure=is_sure)  # type: ignore[arg-type]
            new_mnemonic = True
        config = load(config_path, require_mnemonic=False)
        _find_mnemonic(config, may_make=new_mnemonic)
        _bring_up(config)


def _refuse_answers(config_path: Path, flags: dict[str, object]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value]
    if given:
        text = f"{config_path} exists, so {', '.join(given)} would change nothing. Edit it, or name another with -c."
        raise Failure(ExitCode.EXISTS, text)


def _write_config(path: Path, answers: Answers, *, is_sure: bool) -> None:
    """Write the config that the answers make, once it is known to be right."""
    is_asking = sys.stdin.isatty() and not is_sure
    if is_asking:
        answers = ask(answers, path.absolute().parent)
    if answers.missing:
        alone = "" if answers.mode else "; `--mode sim` alone makes one to play with"
        problem = f"There is no config at {path}. To write one, say {', '.join(answers.missing)}{alone}."
        raise Failure(ExitCode.USAGE, problem)
    path = path.absolute()
    text = render(answers, path.parent)
    if is_asking:
        made = "database" if answers.xpub or answers.mode == Mode.SIM else "mnemonic and database"
        click.confirm(f"Write {path}, and make its {made}?", default=True, abort=True, err=True)
    make_folder(path.parent)
    with beside(path) as draft:
        write_synced(draft, text)
        load(draft, require_mnemonic=False)
        put_in_place(draft, path)
    _say(f"Wrote {path}.")


def _find_mnemonic(config: Config, *, may_make: bool) -> None:
    """Make the mnemonic's file if there is none and we may."""
    file = config.custody.mnemonic
    if file is None or file.path.exists():
        return
    if not may_make or config.node.database.exists():
        raise Failure(
            ExitCode.CONFIG,
            f"There is no mnemonic at {file.path}. Put yours there with mode 0600"
            + ("." if config.node.database.exists() else ", or let `paynode init --new-mnemonic` make one."),
        )
    from paynode.seed import new_mnemonic

    make_folder(file.path.parent)
    with beside(file.path) as draft:
        write_synced(draft, new_mnemonic().reveal() + "\n")
        put_in_place(draft, file.path)
    _say(f"Made a new mnemonic: {file.path} (24 words, mode 0600).")
    _say("  Copy it to paper or steel now and keep that away from this machine: whoever reads it owns the deposits,")
    _say("  and if it is lost, so are they.")


def _bring_up(config: Config) -> None:
    """Make the database or the branches it lacks, and a first key if it has none."""
    needed = branches(config)
    refuse_own_treasuries(config, needed)
    path = config.node.database
    if path.exists():
        added, key = _fill(path, config, needed)
        _say(f"{path} was there; added {_count(added)}.")
    else:
        make_folder(path.parent)
        with lock.hold(path.parent):
            _refuse_remains(path)
            # Under another name until it is whole: a node must never start on a database without its branches.
            draft = path.with_name(f"{path.name}.new")
            _remove(draft)
            databases.create(draft)
            added, key = _fill(draft, config, needed)
            put_in_place(draft, path)
            _remove(draft)
        _say(f"Made the database {path} with {_count(added)}.")
    if key is not None:
        _say("The first API key, shown only now:")
        click.echo(key)
    _say(f"Next: paynode check -c {config.path}; paynode run -c {config.path}")


def _fill(path: Path, config: Config, needed: Sequence[Branch]) -> tuple[int, str | None]:
    """Add what the config asks for; returns how many branches that was, and the first key if there was none."""
    database = databases.open(path)
    try:
        return database.write(_sync, config, needed)
    finally:
        database.close()


def _sync(tx: Tx, config: Config, needed: Sequence[Branch]) -> tuple[int, str | None]:
    before = len(stores.accounts(tx))
    catalogue = startup.sync(tx, config, needed, now())
    added = len(stores.accounts(tx)) - before
    if api_keys.all_keys(tx):
        return added, None
    store_id_by_name = {name: store_id for store_id, name in catalogue.store_keys.items()}
    store_id = store_id_by_name.get(FIRST_STORE) or next(iter(catalogue.store_keys))
    _, key = create_key(tx, catalogue, store_id=store_id, name="first key", terms=Terms(DEFAULT_SCOPES), now=now())
    return added, key


def _refuse_remains(path: Path) -> None:
    """A write-ahead log without its database means that a node's money is on file elsewhere, or lost."""
    for suffix in DRAFT_SUFFIXES[1:]:
        if (remains := path.with_name(path.name + suffix)).exists():
            text = f"{remains} belongs to a database that is gone. Put that back, or take a data_dir that is empty."
            raise Failure(ExitCode.EXISTS, text)


def _remove(draft: Path) -> None:
    """Take away what an interrupted `init` left under the draft's name: it was never in use."""
    for suffix in DRAFT_SUFFIXES:
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _count(added: int) -> str:
    return "no branch" if added == 0 else "one branch" if added == 1 else f"{added} branches"


def _say(text: str) -> None:
    click.echo(text, err=True)
