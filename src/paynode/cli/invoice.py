"""`paynode invoice`: make, show and list invoices of a running node."""

import json

import click

from paynode.cli.calling import Json, Where, calling, node_options
from paynode.cli.exit_codes import ExitCode
from paynode.cli.printing import json_option, print_json, print_table
from paynode.cli.problems import Failure


@click.group("invoice")
def invoice() -> None:
    """Make, show and list invoices of a running node."""


@invoice.command("create")
@node_options
@click.option("--amount", help="What is asked for, in --currency.")
@click.option("--currency", help="Of the amount: ISO 4217, or a coin.  [default: USD]")
@click.option("--method", "methods", multiple=True, help="How it may be paid, such as sim_usdt; may be repeated.")
@click.option("--order-id", help="Your own number of the order.")
@click.option("--expires-in", metavar="DURATION", help="How long it can be paid, such as 15m.")
@click.option("--provision", is_flag=True, help="Issue its addresses now, not when the payer picks a method.")
@click.option("--data", metavar="JSON", default="{}", help="Any other fields, as POST /v1/invoices takes them.")
@click.option("--idempotency-key", metavar="NAME", help="Your name for this call: sent twice, it is done once.")
@json_option
def create(where: Where, data: str, idempotency_key: str | None, is_json: bool, **fields: object) -> None:
    """Make an invoice."""
    try:
        body = json.loads(data)
    except ValueError as error:
        raise Failure(ExitCode.USAGE, f"--data is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise Failure(ExitCode.USAGE, '--data is to be a JSON object, such as {"name": "Order 1001"}.')
    body = {"currency": "USD", **body, **{name: value for name, value in fields.items() if value}}
    with calling(where) as node:
        made = node.post("/v1/invoices", body, name=idempotency_key)
    print_json(made) if is_json else _print(made)


@invoice.command("show")
@node_options
@click.argument("invoice_id", metavar="INVOICE")
@json_option
def show(where: Where, invoice_id: str, is_json: bool) -> None:
    """Show an invoice, how it can be paid, and what came."""
    with calling(where) as node:
        found = node.get(path_of(invoice_id))
    print_json(found) if is_json else _print(found)


@invoice.command("list")
@node_options
@click.option("--status", help="Only those: open, confirming, paid, expired, cancelled, reversed; several by commas.")
@click.option("--q", "words", metavar="TEXT", help="Only those with these words in them.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many, the newest first.")
@json_option
def list_(where: Where, status: str | None, words: str | None, limit: int, is_json: bool) -> None:
    """List invoices, the newest first."""
    wanted = {"status": status, "q": words, "limit": str(limit)}
    with calling(where) as node:
        found = node.get("/v1/invoices", **{name: value for name, value in wanted.items() if value})
    if is_json:
        print_json(found)
        return
    heading = ("ID", "STATUS", "PAYMENT", "AMOUNT", "ORDER", "CREATED AT")
    print_table(heading, [_row(each) for each in found["data"]])


def path_of(invoice_id: str) -> str:
    """Where an invoice is; refuses what would be another path."""
    if not invoice_id.isalnum() and not invoice_id.replace("_", "").isalnum():
        raise Failure(ExitCode.USAGE, f"{invoice_id} is no id of an invoice: one begins with inv_.")
    return f"/v1/invoices/{invoice_id}"


def _row(found: Json) -> tuple[str, ...]:
    return (
        found["id"],
        found["status"],
        found["payment_state"],
        _sum(found),
        found["order_id"] or "-",
        found["created_at"],
    )


def _sum(found: Json) -> str:
    return f"{found['amount'] or 'any'} {found['currency']}"


def _print(found: Json) -> None:
    click.echo(f"{found['id']}: {_sum(found)}, {found['status']}, payment {found['payment_state']}")
    for method in found["methods"]:
        where = f"to {method['address']}" if method["address"] else "(no address yet)"
        click.echo(f"  {method['method']}: {method['amount'] or 'any sum'} {method['symbol'].upper()} {where}")
    for deposit in found["deposits"]:
        late = ", late" if deposit["late"] else ""
        click.echo(f"  came: {deposit['amount']} {deposit['method']}, {deposit['state']}{late}, {deposit['tx_hash']}")
    click.echo(f"  payer's page: {found['checkout_url']}")
    if found["expires_at"]:
        click.echo(f"  open until {found['expires_at']}")
