"""A whole node in process, with the two networks that the documents name, and those who talk to it.

The chain is simulated, the rest is real: payments are mined, final, screened, collected and expire as on a node.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from tests.api.conftest import Api
from tests.lab.simnode import ETHER, GAS, SimNode, derive

from paynode.api.app import create_app
from paynode.api.node import ApiNode
from paynode.chains.sim import keys
from paynode.domain.delivery import Answered
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations import deliveries
from paynode.operations.api_keys import Terms, create_key
from paynode.operations.deliveries import Attempt
from paynode.operations.expiry import expire_without_address
from paynode.outbound import Outbound
from paynode.services.screening import Screener

CHECK = Outbound().check  # made once: it reads the machine's certificates

BAD = "sim1" + "bd" * 20  # on the deny list

CONFIG = """
[stores.main]
name = "Tea and more"
payer_may_cancel = true
invoices = { currency = "USD" }

[networks.eth]
family = "sim"
native = { symbol = "eth", decimals = 18 }
tokens = { usdt = { decimals = 6, stable = true }, usdc = { decimals = 6, stable = true } }
explorer = "https://eth.example"
sweep = { min_value = "50 USD", every = "1h" }

[networks.polygon]
family = "sim"
native = { symbol = "pol", decimals = 18 }
explorer = "https://polygon.example"
sweep = { min_value = "50 USD", every = "1h" }
[networks.polygon.tokens]
eth = { decimals = 18 }
usdt = { decimals = 6, stable = true }
usdc = { decimals = 6, stable = true }

[screening]
deny_files = ["deny.txt"]

[rates.static]
"usdt/USD" = "1"
"usdc/USD" = "1"
"usdt/EUR" = "0.8"
"usdc/EUR" = "0.8"
"eth/USD" = "2000"
"eth/EUR" = "1600"
"pol/USD" = "0.5"
"pol/EUR" = "0.4"
"""


Answer = dict[str, Any]


class Caller(StrEnum):
    MERCHANT = "the store's key"
    OWNER = "the node's key"
    TILL = "a key that only reads"
    PAYER = "no key"


class WholeNode:
    """The node, and its callers."""

    def __init__(self, folder: Path) -> None:
        (folder / "deny.txt").write_text(f"{BAD}\n")
        self.node = SimNode(folder, CONFIG)
        self._serials = count(1)
        self.app = create_app(
            ApiNode(
                database=self.node.database,
                catalogue=self.node.catalogue,
                derive=derive,
                parse_tx_hash=lambda family, text: keys.parse_tx_hash(text),
                clock=self.node.clock,
                check_outbound=CHECK,
                version="1.2.3",
                started_at=self.node.clock(),
                health=lambda: {"scanner": "ok"},
            )
        )
        parsers = [chain.parse_address for chain in self.node.chains.values()]
        self.screener = Screener(self.node.database, self.node.catalogue, parsers, self.node.clock)
        self.callers = {
            Caller.MERCHANT: Api(self.app, self._key(STORE_SCOPES)),
            Caller.OWNER: Api(self.app, self._key(STORE_SCOPES | NODE_SCOPES, of_node=True)),
            Caller.TILL: Api(self.app, self._key({"invoices:read"})),
            Caller.PAYER: Api(self.app, None),
        }

    def _key(self, scopes: frozenset[str] | set[str], *, of_node: bool = False) -> str:
        node = self.node
        _, text = node.database.write(
            create_key,
            node.catalogue,
            store_id=None if of_node else node.store_id,
            name="test",
            terms=Terms(scopes),
            now=node.clock(),
        )
        return text

    async def begin(self) -> None:
        """See both networks, with coins at their gas stations."""
        await self.node.look()
        for network, native in (("eth", "eth_eth"), ("polygon", "polygon_pol")):
            self.node.worlds[network].fund(GAS, native, 10 * ETHER)
        await self.mine(2)

    # What is asked of it.

    async def call(
        self, by: Caller, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer: its JSON, and beside that its status as `http` and all of its text as `text`."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Idempotency-Key": f"request-{next(self._serials)}"} if method == "POST" else {}
        reply = await self.callers[by].send(method, path, raw=raw, query=query, headers=headers)
        is_json = reply.raw and "json" in reply.headers["Content-Type"]
        return {**(reply.json if is_json else {}), "http": reply.status, "text": reply.raw.decode()}

    # What payers and time do.

    def pay(self, invoice: Mapping[str, Any], amount: str, sender: str | None = None) -> str:
        """Pay by the invoice's first method; the payment waits for a block."""
        method = invoice["methods"][0]
        units = int(Decimal(amount) * 10 ** method["decimals"])
        options = {} if sender is None else {"sender": sender}
        return self.node.worlds[method["network"]].pay(method["address"], method["method"], units, **options)

    async def mine(self, blocks: int = 1) -> None:
        """Blocks, what they brought screened, and what collecting it would cost."""
        await self.node.mine(blocks)
        while await self.screener.one_round():
            continue
        await self.node.plan()

    async def pass_time(self, step: timedelta) -> None:
        self.node.clock.advance(step)
        await self.mine()
        self.node.database.write(expire_without_address, self.node.catalogue, self.node.clock())

    def answer_hooks(self, status: int) -> list[Answer]:
        """What is posted to the shop now, each answered so: its headers, its body, and the `raw` text."""
        node, now = self.node, self.node.clock()
        told: list[Answer] = []
        while posts := node.database.read(deliveries.due, now, {}):  # some of them: no receiver gets many at once
            for post in posts:
                attempt = Attempt(post.delivery_id, post.url, now, 1, Answered(status))
                node.database.write(deliveries.record_attempt, node.catalogue, attempt, now=now, jitter=Decimal(0))
                headers = post.signer.headers(post.event_id, now, post.body)
                told.append({"headers": headers, "body": json.loads(post.body), "raw": post.body.decode()})
        return told
