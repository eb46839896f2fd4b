"""The API against its contract: requests that schemathesis makes up, and answers held to what the contract says.

A node with a past (invoices, deposits, a sweep, deliveries) is served over HTTP from a thread. CI tries a few requests
per operation; `-m soak` tries many, and what its catalogue of edge cases has. Streams, which have no end, are left out.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import outcome
import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.config import SchemathesisConfig
from tests.api.conftest import ROUTES, FakeSimulation
from tests.lab.shop import Shop, make_key
from tests.lab.simnode import SimNode, derive

from paynode.api import contract, gate
from paynode.api.app import create_app
from paynode.api.node import ApiNode
from paynode.api.server import serve
from paynode.chains.sim import keys
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations import endpoints
from paynode.outbound import Target

CHECKS = {
    # What is well formed may still not be possible: a method that is not offered, two fields that exclude each other.
    "positive_data_acceptance": {
        "enabled": True,
        "expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "503"],
    },
    "not_a_server_error": {"enabled": True, "expected-statuses": ["2xx", "3xx", "4xx", "503"]},
}
CONFIG = {"suppress-health-check": ["all"], "checks": CHECKS}
# A path may fit another's variable: "search" is where deposits are searched, and no deposit is called so.
OPERATIONS = [
    {"include-path": path, "checks": {"allow_header_conformance": {"enabled": False}}}
    for path in ("/v1/deposits/search", "/v1/api_keys/current", "/v1/sweeps/preview")
]
STREAMS = [route.path.replace("<", "{").replace(">", "}") for route in ROUTES.values() if route.opener is not None]


class Server(NamedTuple):
    url: str
    key: str


def loaded(phase: str, **checks: Any) -> Any:
    """The contract's operations, with their requests made by one phase of schemathesis."""
    phases = {name: {"enabled": name == phase} for name in ("examples", "coverage", "fuzzing", "stateful")}
    config = SchemathesisConfig.from_dict({**CONFIG, "phases": phases, "operations": OPERATIONS})
    document = contract.document(ROUTES.values(), version="1", url="http://127.0.0.1")
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document)), config=config)
    return schema.exclude(path=STREAMS)


fuzzed = loaded("fuzzing")
covered = loaded("coverage")
stateful = loaded("stateful")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FAILURES_BURST", "PUBLIC_BURST", "KEY_BURST"):
            patch.setattr(gate, name, 1_000_000)  # the limits have tests of their own
        told: SimpleQueue[Any] = SimpleQueue()
        thread = threading.Thread(target=run, args=(tmp_path_factory.mktemp("node"), told))
        thread.start()
        found = told.get()
        stop, token, served = found.unwrap() if isinstance(found, outcome.Error) else found
        yield served
        token.run_sync_soon(stop.set)
        thread.join()


def run(folder: Path, told: "SimpleQueue[Any]") -> None:
    ended = outcome.capture(trio.run, live, folder, told)
    if isinstance(ended, outcome.Error):
        told.put(ended)


async def live(folder: Path, told: "SimpleQueue[Any]") -> None:
    """Make a node with a past and serve it, until told to stop."""
    node = SimNode(folder)
    database, catalogue = node.database, node.catalogue
    database.write(
        endpoints.create_endpoint,
        node.store_id,
        url="https://shop.example/hook",
        events=["*"],
        secret=None,
        now=node.clock(),
        check=lambda url: None,
    )
    await node.mine()
    node.fund_gas()
    node.pay(node.create(), 10_000_000)
    node.pay(node.create("5"), 1_000_000)
    node.create(provision=False)
    await node.turn(20)
    shop = Shop(database, catalogue, node.store_id)
    app = create_app(
        ApiNode(
            database=database,
            catalogue=catalogue,
            derive=derive,
            parse_tx_hash=lambda family, text: keys.parse_tx_hash(text),
            clock=node.clock,
            check_outbound=checked,
            version="1",
            started_at=node.clock(),
            health=lambda: {"scanner": "ok"},
            simulation=FakeSimulation(),
        )
    )
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(lambda **how: serve(app, ["127.0.0.1:0"], stop=stop, **how))
        key = make_key(shop, STORE_SCOPES | NODE_SCOPES, of_node=True)
        told.put((stop, trio.lowlevel.current_trio_token(), Server(url, key)))


def checked(url: str) -> None:
    """As the daemon does, but without asking where the host is."""
    Target.parse(url)


def few(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def call(case: Any, server: Server, *, with_key: bool) -> None:
    headers = {"Authorization": f"Bearer {server.key}"} if with_key else {}
    case.call_and_validate(base_url=server.url, headers=headers)


@fuzzed.parametrize()
@few(4)
def test_no_request_with_a_key_gets_what_the_contract_does_not_say(case: Any, server: Server) -> None:
    call(case, server, with_key=True)


@fuzzed.parametrize()
@few(2)
def test_no_request_without_a_key_gets_what_the_contract_does_not_say(case: Any, server: Server) -> None:
    call(case, server, with_key=False)


class Journeys(stateful.as_state_machine()):  # type: ignore[misc]
    """What was made is used, changed and removed, along the links of the contract."""

    server: Server

    def get_call_kwargs(self, case: Any) -> dict[str, Any]:
        return {"base_url": self.server.url, "headers": {"Authorization": f"Bearer {self.server.key}"}}


def test_no_journey_gets_what_the_contract_does_not_say(server: Server) -> None:
    Journeys.server = server
    run_state_machine_as_test(Journeys, settings=settings(few(15), stateful_step_count=6))


@pytest.mark.soak
@covered.parametrize()
@few(1)
def test_no_edge_case_gets_what_the_contract_does_not_say(case: Any, server: Server) -> None:
    call(case, server, with_key=True)


@pytest.mark.soak
@fuzzed.parametrize()
@settings(few(300), derandomize=False)
def test_no_request_of_many_gets_what_the_contract_does_not_say(case: Any, server: Server) -> None:
    call(case, server, with_key=True)


@pytest.mark.soak
def test_no_long_journey_gets_what_the_contract_does_not_say(server: Server) -> None:
    Journeys.server = server
    run_state_machine_as_test(Journeys, settings=settings(few(300), derandomize=False, stateful_step_count=20))
