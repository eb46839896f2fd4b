"""`paynode trigger`: cause an event in a sandbox by living through what leads to it."""

import click

from paynode.cli.calling import Where, calling, node_options
from paynode.cli.exit_codes import ExitCode
from paynode.cli.journeys import DENIED, JOURNEYS, Walk
from paynode.cli.printing import json_option, print_json
from paynode.cli.problems import Failure
from paynode.domain.events import EventType


@click.command("trigger")
@node_options
@click.argument("event", required=False, metavar="[EVENT]")
@click.option(
    "--from",
    "sender",
    metavar="ADDRESS",
    default=DENIED,
    help="For screening.*: an address on a list of the node's.  [default: the one that `paynode demo` denies]",
)
@json_option
def trigger(where: Where, event: str | None, sender: str, is_json: bool) -> None:
    """Cause an event in a sandbox.

    For it an invoice is made and paid, time moves on, or blocks are taken back.

    Without EVENT, lists what can be caused. Whatever else is in the sandbox lives through it as well.
    """
    if event is None:
        _list(is_json)
        return
    kind = _known(event)
    with calling(where) as node:
        node.require_sandbox()
        walk = Walk(node, sender)
        JOURNEYS[kind].walk(walk)
        found = walk.told(kind)
    if is_json:
        print_json(found)
    else:
        thing = found["data"]["object"]
        click.echo(f"{kind}: {found['id']}, about {thing.get('object', 'it')} {thing.get('id', '')}".rstrip())


def _known(event: str) -> EventType:
    """The kind of that name.

    Raises:
        Failure: there is none, or nothing in a sandbox causes it.
    """
    try:
        kind = EventType(event)
    except ValueError:
        text = f"There is no event {event}. `paynode trigger` lists those that can be caused."
        raise Failure(ExitCode.USAGE, text) from None
    if kind not in JOURNEYS:
        text = f"{kind} is not to be caused at will. `paynode trigger` lists what is."
        raise Failure(ExitCode.PROBLEM, text)
    return kind


def _list(is_json: bool) -> None:
    if is_json:
        print_json([{"event": kind, "how": journey.how} for kind, journey in JOURNEYS.items()])
        return
    for kind, journey in JOURNEYS.items():
        click.echo(f"{kind:27} {journey.how}")
