"""`paynode pay`: pay an invoice of a sandbox as a customer would."""

import click

from paynode.cli.calling import Where, calling, node_options
from paynode.cli.invoice import path_of
from paynode.cli.printing import json_option, print_json


@click.command("pay")
@node_options
@click.argument("invoice_id", metavar="INVOICE")
@click.option("--amount", help="How much, in whole coins.  [default: what is asked for]")
@click.option("--percent", help="How much, in percent of what is asked for.")
@click.option("--method", help="How, such as sim_usdt.  [default: the invoice's first]")
@click.option("--late", is_flag=True, help="After the deadline: time is moved past it, for every invoice.")
@click.option("--from", "sender", metavar="ADDRESS", help="Whose money it is, to try a list of addresses.")
@json_option
def pay(where: Where, invoice_id: str, late: bool, sender: str | None, is_json: bool, **terms: str | None) -> None:
    """Pay an invoice of a sandbox as a customer would. Only a node with mode = "sim" takes such money."""
    body: dict[str, object] = {name: value for name, value in {**terms, "from": sender}.items() if value is not None}
    path = path_of(invoice_id).replace("/v1/", "/v1/test/", 1)
    with calling(where) as node:
        node.require_sandbox()
        paid = node.post(f"{path}/pay", {**body, "late": late})
    if is_json:
        print_json(paid)
    else:
        click.echo(f"Paid {paid['amount']} {paid['method']}: {paid['tx_hash']}. A block takes it within a second.")
