"""The demo's shop: receives webhooks as any shop should, and believes only those whose signature is right."""

import hmac
import json
from datetime import UTC, datetime
from typing import Any, NoReturn

import click
import trio
from quart import request
from quart_trio import QuartTrio

from paynode.domain import signing


class DemoShop:
    """A webhook receiver with a memory."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app = QuartTrio("demo-shop")
        self.app.add_url_rule("/webhooks", "webhooks", self._receive, methods=["POST"])
        self._secret: signing.Secret | None = None
        self._events: list[dict[str, Any]] = []
        self._news = trio.Event()

    def trust(self, secret: str) -> None:
        """Believe what is signed with this endpoint secret."""
        self._secret = signing.Secret.parse(secret)

    async def wait_for(self, kind: str, seconds: float) -> dict[str, Any]:
        """The first verified event of a type.

        Raises:
            trio.TooSlowError: none came in time.
        """
        with trio.fail_after(seconds):
            while True:
                for event in self._events:
                    if event["type"] == kind:
                        return event
                await self._news.wait()

    async def show_for_ever(self) -> NoReturn:
        """Print each event as it comes."""
        shown = 0
        while True:
            for event in self._events[shown:]:
                thing = event["data"]["object"]
                state = thing.get("status") or thing.get("state") or ""
                click.echo(f"  {event['created_at']}  {event['type']:28} {thing.get('id', '')} {state}")
            shown = len(self._events)
            await self._news.wait()

    async def _receive(self) -> tuple[str, int]:
        body = await request.get_data(as_text=False)
        assert isinstance(body, bytes), "text was not asked for"
        if not self._is_genuine(body):
            return "bad signature", 400
        self._events.append(json.loads(body))
        self._news.set()
        self._news = trio.Event()
        return "", 204

    def _is_genuine(self, body: bytes) -> bool:
        if self._secret is None:
            return False
        sent_at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        expected = signing.sign(self._secret, request.headers["webhook-id"], sent_at, body)
        given = request.headers["webhook-signature"].split()
        return any(hmac.compare_digest(expected, signature) for signature in given)
