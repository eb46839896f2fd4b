"""The whole API in process, over a real database in memory and a simulated node's config."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from quart_trio import QuartTrio
from tests.lab.shop import NOW, Clock, Shop, make_key, open_shop, sim_config
from werkzeug.exceptions import HTTPException

from paynode.api import simulation
from paynode.api.app import TABLES, create_app
from paynode.api.event_shapes import EVENT_SHAPES
from paynode.api.lists import ListView
from paynode.api.node import ApiNode
from paynode.api.outcomes import problems_of
from paynode.api.pages.layout import HTML
from paynode.api.routes import Route
from paynode.chains.base import ProviderHealth, ProviderState
from paynode.chains.sim import keys
from paynode.domain.attention import Attention
from paynode.domain.budget import Usage
from paynode.domain.chain import BlockRef
from paynode.domain.quote import Rate
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations.loading import LoadedInvoice
from paynode.operations.views.webhooks import EventView
from paynode.outbound import Refused
from paynode.store import chain, rates
from paynode.store.database import Tx

TWO_STORES = """
[stores.main]
allowed_origins = ["https://shop.example"]
[stores.other]
account = 1
payer_may_cancel = true
invoices = { currency = "USD", expires_in = "2h", tolerance = { under_percent = "2" } }
branding = { color = "#0b6e4f", support_email = "help@example.com" }
[rates]
static = { "usdt/USD" = "1" }
"""


@dataclass
class FakeSimulation:
    """Notes what it was asked to do."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def pay(
        self, loaded: LoadedInvoice, method: str, units: int, *, late: bool, sender: str | None = None
    ) -> str:
        if sender == "nobody":
            raise ValueError("That is no address.")
        self.asked.append(("pay", loaded.record.id, method, units, late))
        return f"0x{len(self.asked):064x}"

    async def advance(self, duration: timedelta) -> datetime:
        if duration > timedelta(days=365):
            raise ValueError("That is too far.")
        self.asked.append(("advance", duration))
        return NOW + duration

    async def mine(self, blocks: int) -> None:
        self.asked.append(("mine", blocks))

    async def reorg(self, depth: int) -> None:
        self.asked.append(("reorg", depth))

    async def outage(self, on: bool) -> None:
        self.asked.append(("outage", on))


@dataclass(frozen=True)
class Reply:
    status: int
    raw: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def problems(self) -> dict[str, str]:
        """The codes of the fields' errors, by pointer."""
        return {error["pointer"]: error["code"] for error in self.json["errors"]}


@dataclass(frozen=True)
class Api:
    """A caller with a key."""

    app: QuartTrio
    key: str | None

    async def send(
        self,
        method: str,
        path: str,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        peer: str = "192.0.2.1",
    ) -> Reply:
        sent = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        sent |= {} if raw is None else {"Content-Type": "application/json"}
        route = route_of(self.app, method, path)
        if route is not None and route.opener is not None:
            method = "HEAD"  # passes the same gate; the answer to a GET would not end
        answer = await self.app.test_client().open(
            path,
            method=method,
            data=raw,
            headers={**sent, **(headers or {})},
            query_string=None if query is None else dict(query),
            scope_base={"client": (peer, 40000)},
        )
        reply = Reply(answer.status_code, await answer.get_data(as_text=False), answer.headers)
        hold_to_contract(self.app, method, path, reply)
        return reply

    async def get(self, path: str, **query: str) -> Reply:
        return await self.send("GET", path, query=query)

    async def patch(self, path: str, body: object) -> Reply:
        return await self.send("PATCH", path, raw=json.dumps(body).encode())

    async def post(self, path: str, body: object = None, *, named: str | None = None) -> Reply:
        raw = None if body is None else json.dumps(body).encode()
        return await self.send("POST", path, raw=raw, headers={} if named is None else {"Idempotency-Key": named})

    async def invoice(self, **fields: object) -> Any:
        """A new invoice of 20 dollars, unless told otherwise."""
        reply = await self.post("/v1/invoices", {"amount": "20", "currency": "USD", **fields})
        assert reply.status == 201, reply.raw
        return reply.json


ROUTES = {route.name: route for table in (*TABLES, simulation.routes) for route in table.all}


def route_of(app: QuartTrio, method: str, path: str) -> Route | None:
    if path.startswith("//"):
        return None  # no path, though Werkzeug would match it
    try:
        name, _ = app.url_map.bind("localhost").match(path.partition("?")[0], method=method)
    except HTTPException:
        return None
    return ROUTES.get(name)  # None: what browsers ask before a request


def hold_to_contract(app: QuartTrio, method: str, path: str, reply: Reply) -> None:
    """Whatever a test calls, the answer is one that the route declares."""
    route = route_of(app, method, path)
    if route is None or method != route.method:
        return  # Quart's own answer to HEAD and OPTIONS
    declared = {(problem.status, problem.code) for problem in problems_of(route)}
    if route.is_page:
        assert reply.headers["Content-Type"] == HTML
        codes = {code for status, code in declared if status == reply.status}
        assert reply.status == route.status or any(f"<p>{code}, req_".encode() in reply.raw for code in codes)
    elif reply.status >= 400:
        assert (reply.status, reply.json["code"]) in declared, f"{route.name} does not declare this problem"
    elif route.exporter is not None:
        assert (reply.status, reply.headers["Content-Type"]) == (200, f"{route.media}; charset=utf-8")
    elif route.writer is not None or route.shows is str:
        assert reply.status in {route.status, 304}
    elif route.shows is None:
        assert (reply.status, reply.raw) == (route.status, b"")
    elif reply.status != 304:
        assert reply.status == route.status
        assert msgspec.json.encode(msgspec.json.decode(reply.raw, type=route.shows)) == reply.raw
        if route.shows == ListView[EventView]:
            for event in reply.json["data"]:
                about = msgspec.json.encode(event["data"]["object"])
                assert msgspec.json.encode(msgspec.json.decode(about, type=EVENT_SHAPES[event["type"]])) == about


ONE_PROVIDER = ProviderHealth(
    "rpc.example",
    ProviderState.SPENT,
    "its 25000 calls of today (UTC) are used up",
    head_number=10,
    lag_blocks=2,
    usage=Usage(date(2026, 5, 1), calls=25_007, looks=9_000, errors=3, lies=1, calls_saved=1_234, seconds_waited=5_678),
    calls_per_day=25_000,
)


@dataclass(frozen=True)
class World:
    shop: Shop
    clock: Clock
    simulation: FakeSimulation
    app: QuartTrio
    other_store_id: str
    attention: Attention
    node: ApiNode

    def caller(self, *scopes: str, of_node: bool = False) -> Api:
        """Somebody with a new key of the store "main", or of the node; with every scope unless some are named."""
        possible = STORE_SCOPES | NODE_SCOPES if of_node else STORE_SCOPES
        return Api(self.app, make_key(self.shop, scopes or possible, of_node=of_node))

    def caller_of_other_store(self) -> Api:
        return Api(self.app, make_key(self.shop._replace(store_id=self.other_store_id), STORE_SCOPES))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    shop = open_shop(sim_config(tmp_path, TWO_STORES))
    shop.database.write(_reach, shop)
    clock, simulation = Clock(), FakeSimulation()
    node = ApiNode(
        database=shop.database,
        catalogue=shop.catalogue,
        derive=lambda family, account, index: f"{family}1{account:020x}{index:020x}",
        parse_tx_hash=lambda family, text: keys.parse_tx_hash(text),
        clock=clock,
        check_outbound=_check,
        version="1.2.3",
        started_at=NOW - timedelta(hours=1),
        health=lambda: {"scanner": "ok"},
        providers=lambda network: [ONE_PROVIDER],
        simulation=simulation,
    )
    other = next(store_id for store_id, key in shop.catalogue.store_keys.items() if key == "other")
    yield World(shop, clock, simulation, create_app(node), other, node.attention, node)
    shop.database.close()


@pytest.fixture
def api(world: World) -> Api:
    """A caller with every scope of the store "main"."""
    return world.caller()


def _check(url: str) -> None:
    if "internal" in url:
        raise Refused("the address is not public")


def _reach(tx: Tx, shop: Shop) -> None:
    """As if every network had been looked at, and every coin but the native one had a price."""
    for network in shop.catalogue.networks:
        chain.add_checkpoint(tx, network, BlockRef(10, "0xaa", NOW))
    for asset in shop.catalogue.assets.values():
        rates.add(tx, Rate(asset.symbol, "USD", Decimal("0.5") if asset.contract is None else Decimal(1), NOW, "test"))
