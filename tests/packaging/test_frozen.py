"""dist/paynode on a machine without Python: every command, a node with and without a chain, and a clean end.

Goal: what only breaks once it is frozen, such as a data file or a late import left behind. Method: the real file, made
by packaging/build, with an empty environment. The figures are printed: `pytest -m frozen -s`.
"""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
import trio
from tests.lab.anvil import anvil
from tests.lab.client import Lab
from tests.lab.node import MNEMONIC, gas_address
from tests.packaging.frozen import Daemon, Home, free_port, program, running

import paynode
from paynode import __version__

pytestmark = pytest.mark.frozen

TREASURY = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"  # of the private key 1
FIVE_NETWORKS = ("eth", "polygon", "base", "arbitrum", "optimism")
BLOCK_SECONDS = 0.3
ETHER = 10**18
DOCS = Path(paynode.__file__).parent / "docs"
LINK = re.compile(r'(?:href|src)="([^"#?]+)')


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_it_tells_its_version(home: Home) -> None:
    assert home.paynode("--version") == f"paynode {__version__}\n"


def test_the_demo_walks_a_whole_payment(home: Home) -> None:
    assert "whole journey" in home.paynode("demo", "--auto")


@pytest.mark.parametrize("who", ["the first process", "both processes, as systemd does"])
async def test_a_simulated_node_is_ready_and_ends_clean_when_told(home: Home, who: str) -> None:
    port = free_port()
    home.config.write_text(f'[node]\nmode = "sim"\ndata_dir = "data"\nlisten = ["127.0.0.1:{port}"]\n')
    async with running(home, port, home.init()) as node:
        await node.told("READY=1")
        assert len(home.unpacked) == 1
        report("simulated", node.first_answer_seconds, await node.settled_pss_mib())
        pids = node.pids
        assert node.stop(pids if who.startswith("both") else pids[:1]) == 0, node.log
        await node.told("STOPPING=1")
        assert node.is_gone(pids)
    assert home.unpacked == []


async def test_every_page_and_all_that_it_links_is_served(home: Home) -> None:
    port = free_port()
    home.config.write_text(
        f'[node]\nmode = "sim"\ndata_dir = "data"\nlisten = ["127.0.0.1:{port}"]\n'
        '[rates]\nstatic = { "usdt/USD" = "1" }\n'
    )
    async with running(home, port, home.init()) as node:
        await node.until(lambda methods: all(m["ready"] for m in methods["data"]), "/v1/payment_methods")
        body = {"amount": "5", "currency": "USD", "methods": ["sim_usdt"], "provision": True}
        invoice = await node.post("/v1/invoices", body)
        pages = await served(node, "/docs", "/v1/openapi.json", invoice["checkout_url"])
    names = {path.stem for path in DOCS.glob("*.md")}
    assert {f"/docs/{name}" for name in names | {"reference", "style.css"}} <= pages.keys()
    assert pages["/v1/openapi.json"].startswith('{"openapi":"3.1')
    page = pages[f"/i/{invoice['id']}"]
    assert invoice["methods"][0]["address"] in page
    assert pages[f"/checkout/{invoice['id']}/methods/sim_usdt/qr.svg"].startswith("<svg")


async def test_a_node_whose_providers_are_away_is_up_and_degraded(home: Home) -> None:
    port = free_port()
    networks = "".join(
        f'[networks.{name}]\nrpc = ["http://127.0.0.1:{free_port()}"]\ntreasury = "{TREASURY}"\n'
        for name in FIVE_NETWORKS
    )
    home.config.write_text(f'[node]\nmode = "test"\ndata_dir = "data"\nlisten = ["127.0.0.1:{port}"]\n{networks}')
    key = home.init("--new-mnemonic")
    async with running(home, port, key) as node:
        await node.told("READY=1")
        methods = (await node.get("/v1/payment_methods"))["data"]
        assert {method["network"] for method in methods} == set(FIVE_NETWORKS)
        assert not any(method["ready"] for method in methods)
        report("five networks", node.first_answer_seconds, await node.settled_pss_mib())
        assert node.stop(node.pids) == 0, node.log
    assert home.unpacked == []


async def test_a_payment_on_a_real_chain_reaches_the_treasury(home: Home) -> None:
    port = free_port()
    async with anvil() as lab, trio.open_nursery() as chain:
        home.config.write_text(f"""
[node]
mode = "test"
data_dir = "data"
listen = ["127.0.0.1:{port}"]

[networks.eth]
rpc = ["{lab.url}"]
chain_id = {lab.chain_id}
confirmations = 2
tick_seconds = 1
treasury = "{TREASURY}"
tokens = {{}}
sweep = {{ every = "1s" }}

[rates]
static = {{ "eth/USD" = "2000" }}
""")
        mnemonic = home.folder / "mnemonic"
        mnemonic.write_text(MNEMONIC)
        mnemonic.chmod(0o600)
        async with running(home, port, home.init()) as node:
            await node.until(
                lambda methods: all(m["ready"] or m["reason"] for m in methods["data"]), "/v1/payment_methods"
            )
            body = {"amount": "100", "currency": "USD", "methods": ["eth_eth"], "provision": True}
            invoice = await node.post("/v1/invoices", body)
            await lab.send_native(gas_address(), ETHER)
            await lab.send_native(invoice["methods"][0]["address"], ETHER // 20)
            chain.start_soon(blocks, lab)
            swept = await node.until(lambda seen: seen["sweep_state"] == "swept", f"/v1/invoices/{invoice['id']}")
            assert (swept["status"], swept["payment_state"]) == ("paid", "exact")
            assert node.stop(node.pids) == 0, node.log
        chain.cancel_scope.cancel()


async def served(node: Daemon, *starts: str) -> dict[str, str]:
    """What is served at these paths and at all that their pages link to, each with 200."""
    found: dict[str, str] = {}
    todo = [urljoin(str(node.client.base_url), start) for start in starts]
    while todo:
        url = node.client.base_url.join(todo.pop())
        if url.host != "127.0.0.1" or url.path in found:
            continue
        answer = await node.client.get(url)
        assert answer.status_code == 200, f"{url}: {answer.text}"
        found[url.path] = answer.text
        if answer.headers["Content-Type"].startswith("text/html"):
            todo += [urljoin(str(url), unescape(link)) for link in LINK.findall(answer.text)]
    return found


async def blocks(lab: Lab) -> None:
    """The chain goes on, as chains do."""
    while True:
        await trio.sleep(BLOCK_SECONDS)
        await lab.mine()


def report(what: str, first_answer_seconds: float, pss_mib: float) -> None:
    size_mib = program().stat().st_size / 2**20
    print(f"\n{what}: {size_mib:.1f} MiB, first 200 after {first_answer_seconds:.2f} s, PSS {pss_mib:.1f} MiB")
