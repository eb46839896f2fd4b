"""`paynode resume`: acknowledge why outflows were paused, and let them go on."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from paynode.cli.config_file import config_option, load
from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import now, opened
from paynode.cli.printing import print_json
from paynode.cli.problems import Failure, told
from paynode.operations import outflows
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import moment
from paynode.store import outgoing
from paynode.store.database import Tx
from paynode.store.outgoing import PauseRecord


@click.command("resume")
@config_option
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON; does not ask.")
def resume(config_path: Path, is_sure: bool, is_json: bool) -> None:
    """Acknowledge every pause of outflows, and let them go on.

    Each is shown first, with the reason it was made for.
    """
    with told(), opened(load(config_path)) as (database, catalogue):
        shown = database.read(outgoing.pauses)
        if not is_json:
            for record in shown:
                click.echo(_line(record))
            if not shown:
                click.echo("Nothing is paused.")
            elif not is_sure and sys.stdin.isatty():
                click.confirm("Are these dealt with? Let outflows go on?", abort=True)
        if shown:
            database.write(acknowledge, catalogue, shown)
        if is_json:
            print_json([outflows.pause_view(record) for record in shown])
        elif shown:
            click.echo("Acknowledged: outflows go on.")


def acknowledge(tx: Tx, catalogue: Catalogue, shown: Sequence[PauseRecord]) -> None:
    """Acknowledge what was shown; a pause that came meanwhile must be seen first."""
    if outgoing.pauses(tx) != list(shown):
        raise Failure(ExitCode.PROBLEM, "Meanwhile something else was paused; nothing is acknowledged. Run it again.")
    outflows.resume(tx, catalogue, now())


def _line(record: PauseRecord) -> str:
    what = record.method or "everything"
    return f"{record.network}: {what} paused since {moment(record.paused_at)}: {record.reason}"
