"""Pages of lists of a store with a million invoices, over HTTP, and what making one more costs then."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping

import httpx
from tests.bench.crowd import Crowd, fill
from tests.bench.load import WARM_UP
from tests.bench.nodes import BenchNode, made, sim_toml
from tests.bench.report import Line, percentile

COUNT = int(os.environ.get("PAYNODE_BENCH_INVOICES", "1000000"))  # fewer are made sooner
ROUNDS = 25  # of every page
CREATED, CLIENTS = 1000, 16
METHODS = ("sim0_usdt", "sim0_sim")
PAGE_MS_MAX = 30.0
MIB_MAX = 400.0  # of a million
SECONDS_MAX = 300

Query = Mapping[str, str]


async def run() -> AsyncIterator[list[Line]]:
    """Lines for each kind of page, for the file, and for invoices made in it and in an empty one."""
    with made(sim_toml(), mode="sim") as node:
        node.start()
        empty = _created_per_second(node)
        node.stop()
        path = node.folder / "data" / "paynode.db"
        crowd = fill(path, COUNT, METHODS)
        yield [
            Line(f"{COUNT:,} invoices: the file", path.stat().st_size / 2**20, "MiB", at_most=MIB_MAX * COUNT / 10**6)
        ]
        node.start()
        everything: list[float] = []
        cpu_seconds = node.cpu_seconds()
        for kind, queries in _queries(crowd).items():
            ms = _asked(node, queries)
            everything += ms
            yield [Line(f"  {kind}, 99th percentile", percentile(ms, 99), "ms", at_most=PAGE_MS_MAX)]
        cpu_ms = (node.cpu_seconds() - cpu_seconds) / len(everything) * 1000
        yield [
            Line("  all pages, 99th percentile", percentile(everything, 99), "ms", at_most=PAGE_MS_MAX),
            Line("  all pages, median", percentile(everything, 50), "ms"),
            Line("  processor time of the node per page", cpu_ms, "ms"),
        ]
        full = _created_per_second(node)
        node.stop()
    yield [
        Line(f"  invoices created in it, {CLIENTS} clients", full, "/s", at_least=350),
        Line("  the same in an empty store", empty, "/s"),
        Line("  in it, of those in an empty one", full / empty * 100, "%", at_least=90),
    ]


def _queries(crowd: Crowd) -> Mapping[str, list[Query]]:
    """The worst and the usual of each kind: what everything has, what nothing has, and what lies far back."""
    dice = random.Random(2)
    some = [str(dice.randrange(crowd.count)) for _ in range(5)]
    return {
        "newest and oldest pages": [{}, {"sort": "created_at"}, {"starting_after": crowd.middle_id}],
        "pages by state": [
            {"status": "paid"},
            {"status": "reversed"},
            {"status": "open,confirming", "payment_state": "none"},
            {"status": "expired", "payment_state": "partial", "starting_after": crowd.middle_id},
            {"screening": "clear", "sweep_state": "unswept", "late": "true"},
            {"method": "sim0_sim", "archived": "any"},
            {"method": "sim0_sim", "status": "open", "sort": "created_at"},
        ],
        "pages by amount": [
            {"sort": "-amount"},
            {"sort": "amount", "status": "paid", "starting_after": crowd.middle_id},
            {"currency": "EUR", "amount_min": "499.9"},
            {"currency": "USD", "amount_min": "9999"},
            {"currency": "USD", "amount_max": "1.01", "late": "true"},
        ],
        "pages by time": [
            {"created_before": "2020-01-01T00:00:00Z"},
            {"created_after": "2020-01-01T00:00:00Z", "status": "cancelled", "sort": "-amount"},
        ],
        "words that one has": [{"q": f"order {number}"} for number in some],
        "words that all have": [{"q": "web"}, {"q": "order"}, {"q": "web", "status": "cancelled"}, {"q": "o"}],
        "words that few have, and states": [{"q": "customer 17", "status": "paid"}, {"q": "17 web", "late": "true"}],
        "words that nothing has": [{"q": "shoes"}, {"q": "web shoes"}, {"q": "web", "status": "reversed"}],
        "order ids and metadata": [
            *({"order_id": f"order-{number}"} for number in some),
            {"metadata[channel]": "web"},
            {"metadata[channel]": "shop"},
            {"metadata[cart]": "00ff"},
        ],
        "ids and addresses": [{"q": crowd.middle_id}, {"q": crowd.newest_id[:-6]}, {"q": crowd.address}],
        "totals": [{"include": "total"}, {"include": "total", "status": "paid", "late": "true"}],
    }


def _asked(node: BenchNode, queries: list[Query]) -> list[float]:
    """How long each answer took, in ms."""
    ms: list[float] = []
    with httpx.Client(base_url=node.url, headers=node.headers, trust_env=False, timeout=60) as client:
        for _ in range(ROUNDS):
            for query in queries:
                started = time.perf_counter()
                answer = client.get("/v1/invoices", params=dict(query))
                ms.append((time.perf_counter() - started) * 1000)
                assert answer.status_code == 200, answer.text
    return ms


def _created_per_second(node: BenchNode) -> float:
    command = [sys.executable, "-m", "tests.bench.load", str(node.port), node.key, METHODS[0], str(CLIENTS)]
    done = subprocess.run([*command, str(CREATED)], stdout=subprocess.PIPE, timeout=SECONDS_MAX, check=True)
    result = json.loads(done.stdout)
    assert len(result["ms"]) == CREATED > WARM_UP
    return CREATED / float(result["seconds"])
