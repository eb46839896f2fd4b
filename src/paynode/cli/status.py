"""`paynode status`: what the database says, and whether a daemon answers."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from paynode.cli.config_file import config_option, load, local_url
from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import now, opened
from paynode.cli.printing import print_json, print_table
from paynode.cli.problems import told
from paynode.operations import outflows
from paynode.operations.branches import branches
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import moment_or_none
from paynode.store import chain, outgoing, overview, watches
from paynode.store.database import Tx

Report = dict[str, Any]

ANSWER_SECONDS_MAX = 3.0


@click.command("status")
@config_option
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def status(config_path: Path, is_json: bool) -> None:
    """Show how the node is.

    That is its networks, invoices, webhooks and pauses, and whether a daemon answers.

    Exit code 0: all is well. 1: something needs a person. 69: no daemon answers.
    """
    with told(), opened(load(config_path)) as (database, catalogue):
        view = database.read(_look, catalogue, now())
        problem = _daemon_problem(catalogue.config.node.listen[0])
        view = {"daemon": {"ok": problem is None, "problem": problem}, **view}
        if is_json:
            print_json(view)
        else:
            _print(view)
    if problem is not None:
        raise SystemExit(ExitCode.UNAVAILABLE)
    if _needs_a_person(view):
        raise SystemExit(ExitCode.PROBLEM)


def _look(tx: Tx, catalogue: Catalogue, at: datetime) -> Report:
    return {
        "networks": [_network(tx, name) for name in catalogue.networks],
        "open_invoices": overview.open_invoices(tx),
        "invoices_set_aside": overview.invoices_set_aside(tx),
        "due_deliveries": overview.due_deliveries(tx, at),
        "abandoned_deliveries": overview.abandoned_deliveries(tx),
        "addresses": [to_builtins(branch) for branch in branches(tx)],
        "pauses": [to_builtins(outflows.pause_view(record)) for record in outgoing.pauses(tx)],
    }


def _network(tx: Tx, name: str) -> Report:
    record, cursor = chain.network(tx, name), chain.cursor(tx, name)
    head_number = record.head_number
    return {
        "id": name,
        "state": record.state if record.looked_at is not None or record.state != "ok" else "never looked",
        "reason": record.reason,
        "head": head_number,
        "cursor": None if cursor is None else cursor.number,
        "lag_blocks": None if cursor is None or head_number is None else max(head_number - cursor.number, 0),
        "looked_at": moment_or_none(record.looked_at),
        "disputes": [
            {
                "address": pair.address,
                "method": pair.method,
                "expected_units": str(dispute.expected_units),
                "observed_units": None if dispute.observed_units is None else str(dispute.observed_units),
                "reason": dispute.reason,
            }
            for pair, dispute in watches.disputes(tx, name).items()
        ],
        "hold": record.hold,
    }


def _daemon_problem(listen: str) -> str | None:
    """Why no daemon answers at that address; None: one does."""
    import httpx  # the other commands do without

    url = f"{local_url(listen)}/v1/status"
    try:
        answer = httpx.get(url, timeout=ANSWER_SECONDS_MAX, trust_env=False)
    except httpx.HTTPError as error:
        return f"nothing answers at {url} ({type(error).__name__}); `paynode run` starts it"
    return None if answer.is_success else f"{url} answers with HTTP {answer.status_code}"


def _needs_a_person(view: Report) -> bool:
    is_well = all(network["state"] == "ok" and not network["disputes"] for network in view["networks"])
    return not is_well or bool(view["pauses"]) or view["invoices_set_aside"] > 0


def _print(view: Report) -> None:
    click.echo(f"Daemon: {view['daemon']['problem'] or 'answers'}")
    heading = ("NETWORK", "STATE", "HEAD", "CURSOR", "LAG", "LOOKED AT", "DISPUTES", "REASON")
    print_table(heading, [_row(network) for network in view["networks"]])
    click.echo(f"Invoices: {view['open_invoices']} open, {view['invoices_set_aside']} set aside")
    click.echo(f"Webhooks: {view['due_deliveries']} due, {view['abandoned_deliveries']} abandoned")
    for branch in view["addresses"]:
        highest = "none issued" if branch["highest_index"] is None else f"highest index {branch['highest_index']}"
        click.echo(f"Addresses: {branch['family']}, account {branch['account']}: {highest}")
    for network in view["networks"]:
        for dispute in network["disputes"]:
            click.echo(f"Dispute: {dispute['method']} of {dispute['address']}: {dispute['reason']}")
    for pause in view["pauses"]:
        what = pause["method"] or "everything"
        click.echo(f"Paused on {pause['network']}: {what} since {pause['paused_at']}: {pause['reason']}")
    if view["pauses"]:
        click.echo("`paynode resume` acknowledges the pauses and lets outflows go on.")


def _row(network: Report) -> tuple[str, ...]:
    def shown(value: Any) -> str:
        return "-" if value is None else str(value)

    keys = ("id", "state", "head", "cursor", "lag_blocks", "looked_at")
    reason = network["reason"] or network["hold"] or ""
    return (*(shown(network[key]) for key in keys), str(len(network["disputes"])), reason)
