"""`paynode rescan`: have the chain read once more, by the daemon if it runs, else when it starts."""

from collections.abc import Mapping
from pathlib import Path

import click

from paynode.cli.config_file import config_option, load
from paynode.cli.opening import now, opened
from paynode.cli.printing import print_json
from paynode.cli.problems import told
from paynode.operations import rescan as operations
from paynode.operations.rescan import Queued, Rescan

BLOCK_MAX = (1 << 53) - 1  # more than any chain has, and the store can hold it


@click.command("rescan")
@config_option
@click.option("--network", help="Only this network.")
@click.option("--from", "from_block", type=click.IntRange(0, BLOCK_MAX), help="Down to this block; needs --network.")
@click.option("--invoice", "invoice_id", help="Only the addresses of this invoice, watched or not.")
@click.option("--closed", "with_closed", is_flag=True, help="Also addresses that are no longer watched.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def rescan(
    config_path: Path,
    network: str | None,
    from_block: int | None,
    invoice_id: str | None,
    with_closed: bool,
    is_json: bool,
) -> None:
    """Read balances and logs of our addresses again, at the next look.

    It costs calls of your providers, and finds nothing that is in the books already: nothing is credited twice.
    """
    if from_block is not None and network is None:
        raise click.UsageError("Blocks are counted by each network for itself: give --network with --from.")
    with told(), opened(load(config_path)) as (database, catalogue):
        wanted = Rescan(network, from_block, invoice_id, with_closed)
        queued = database.write(operations.rescan, catalogue, wanted, now())
        if is_json:
            print_json([_view(each) for each in queued])
            return
        for each in queued:
            click.echo(_line(each))


def _line(queued: Queued) -> str:
    count = "1 address" if queued.addresses == 1 else f"{queued.addresses} addresses"
    since = "" if queued.from_block is None else f" from block {queued.from_block} on"
    return f"{queued.network}: {count} to be read again{since}"


def _view(queued: Queued) -> Mapping[str, object]:
    return {"network": queued.network, "addresses": queued.addresses, "from_block": queued.from_block}
