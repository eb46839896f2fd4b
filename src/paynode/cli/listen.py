"""`paynode listen`: a node's events, as they happen, posted to a shop under development.

The node cannot reach a developer's machine, and need not: this command follows its stream of events and posts each one
from here, signed as a webhook is, with a secret of its own. What the shop does not accept is told and not sent again.
"""

import os
import secrets
import time
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime

import click
import httpx
import msgspec

from paynode.cli.calling import Caller, Where, calling, no_answer, node_options, require_success
from paynode.cli.exit_codes import ExitCode
from paynode.cli.printing import json_option
from paynode.cli.problems import Failure
from paynode.domain import signing
from paynode.domain.delivery import ANY_2XX
from paynode.domain.events import EventType
from paynode.operations.views.webhooks import EventView, Told, told_of

SECRET_VARIABLE = "PAYNODE_WEBHOOK_SECRET"  # noqa: S105  # its name
SECRET_BYTES = 32
FIRST = "evt_00000000000000000000000000"  # before every event
SILENCE_SECONDS_MAX = 40.0  # the node gives a sign of life every fifteen
SHOP_SECONDS_MAX = 15.0  # as long as the node itself would wait
AGAIN_SECONDS = 1.0
PASSING = (429, 502, 503, 504)  # a node that restarts, or is busy


@click.command("listen")
@node_options
@click.option("--forward-to", "shop", required=True, metavar="URL", help="Where the shop takes webhooks.")
@click.option("--events", metavar="A,B", help="Only these kinds of events.")
@click.option(
    "--until",
    type=click.Choice([kind.value for kind in EventType]),
    metavar="EVENT",
    help="End after the first of this kind; exit code 1 if the shop refused it.",
)
@json_option
def listen(where: Where, shop: str, events: str | None, until: str | None, is_json: bool) -> None:
    """Post a node's events to a shop under development.

    They come as they happen, signed like webhooks.

    \b
    The secret to verify them with is printed first. To keep one, put it into PAYNODE_WEBHOOK_SECRET.
    """
    secret = _secret()
    forwarder = Forwarder(shop, secret, is_json=is_json)
    with suppress(KeyboardInterrupt), calling(where) as node, forwarder.client:
        cursor = newest(node)
        forwarder.say(f"Ready. Secret: {secret.reveal()}", secret=secret.reveal())
        for event in follow(node, cursor, events):
            is_accepted = forwarder.forward(event)
            if event.type == until:
                raise SystemExit(ExitCode.OK if is_accepted else ExitCode.PROBLEM)


def newest(node: Caller) -> str:
    """The event that happened last."""
    found = node.get("/v1/events", limit="1")["data"]
    return str(found[0]["id"]) if found else FIRST


def follow(node: Caller, cursor: str, kinds: str | None) -> Generator[EventView, None, None]:
    """Every event after `cursor`, for ever; a connection that is lost is made again where it ended.

    Raises:
        Failure: the node does not answer at the start, or refuses.
    """
    is_known = False
    while True:
        headers, query = {"Last-Event-ID": cursor}, {} if kinds is None else {"type": kinds}
        try:
            with node.client.stream(
                "GET", "/v1/events/stream", params=query, headers=headers, timeout=SILENCE_SECONDS_MAX
            ) as answer:
                if answer.status_code not in PASSING:
                    if not answer.is_success:
                        answer.read()
                    require_success(answer)
                    is_known = True
                    for line in answer.iter_lines():
                        if line.startswith("data: "):
                            event = msgspec.json.decode(line.removeprefix("data: "), type=EventView)
                            cursor = event.id
                            yield event
        except httpx.TransportError as error:
            if not is_known:
                raise no_answer(node.url, error) from None
        time.sleep(AGAIN_SECONDS)


class Forwarder:
    """Posts events to the shop, and prints how that went."""

    def __init__(self, shop: str, secret: signing.Secret, *, is_json: bool) -> None:
        self.client = httpx.Client(timeout=SHOP_SECONDS_MAX, trust_env=False)
        self._shop, self._secret, self._is_json = shop, secret, is_json

    def forward(self, event: EventView) -> bool:
        """Post one event; tells whether the shop accepted it."""
        told: Told = told_of(event)
        body = msgspec.json.encode(told)
        headers = signing.headers([self._secret], event.id, datetime.now(UTC), body)
        try:
            answer = self.client.post(self._shop, content=body, headers={"content-type": "application/json", **headers})
        except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            self.say(
                f"{event.type} {event.id}: the shop does not answer ({type(error).__name__})",
                event=event.id,
                type=event.type,
                status=None,
            )
            return False
        self.say(
            f"{event.type} {event.id}: the shop answers {answer.status_code}",
            event=event.id,
            type=event.type,
            status=answer.status_code,
        )
        return answer.status_code in ANY_2XX

    def say(self, text: str, **fields: object) -> None:
        """One line, at once: for a person, or as JSON."""
        click.echo(msgspec.json.encode(fields).decode() if self._is_json else text)


def _secret() -> signing.Secret:
    """The developer's own, or a new one."""
    written = os.environ.get(SECRET_VARIABLE, "").strip()
    if not written:
        return signing.Secret.from_key(secrets.token_bytes(SECRET_BYTES))
    try:
        return signing.Secret.parse(written)
    except signing.MalformedSecret as error:
        raise Failure(ExitCode.USAGE, f"{SECRET_VARIABLE} holds no secret of a webhook: {error}.") from None
