"""`paynode demo`: a node on a simulated chain, in a folder of its own, with a shop that listens to its webhooks.

Nothing is needed and nothing is left behind: no network, no keys, no configuration. `--auto` walks one invoice
through its whole life and checks each step; without it, the node stays up to be played with.
"""

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx
import trio

from paynode.api.server import serve as serve_http
from paynode.cli import logs
from paynode.cli.branches import branches
from paynode.cli.demo_shop import DemoShop
from paynode.cli.exit_codes import ExitCode
from paynode.cli.journeys import DENIED
from paynode.cli.problems import LISTEN_ERRORS, Failure, innermost
from paynode.config import load_config
from paynode.daemon import serve, utc_now
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations import catalogue as catalogues
from paynode.operations import startup
from paynode.operations.api_keys import Terms, create_key
from paynode.operations.audit import audit
from paynode.store import database as databases

STEP_SECONDS_MAX = 15.0
POLL_SECONDS = 0.05
SWEEP_EVERY = "1s"  # nobody watches a demo for an hour
REORG_BLOCKS = 60  # a minute; less than the reorg_horizon
DENY_FILE = "denied.txt"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Json = dict[str, Any]


class DemoFailed(Failure):
    """A step of the journey did not happen; the message says which and what was seen instead."""

    def __init__(self, text: str, code: ExitCode = ExitCode.PROBLEM) -> None:
        super().__init__(code, f"The demo failed: {text}")


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo node, its shop, and the keys to both."""

    folder: Path
    url: str
    key: str
    shop: DemoShop
    client: httpx.AsyncClient

    async def get(self, path: str) -> Json:
        return self._answered(await self.client.get(path))

    async def post(self, path: str, body: Json) -> Json:
        return self._answered(await self.client.post(path, json=body))

    async def page(self, url: str) -> str:
        """The text of a page, as somebody without a key gets it."""
        response = await self.client.get(url, headers={"Authorization": ""})
        if response.is_error:
            raise DemoFailed(f"GET {response.request.url.path}: {response.text}")
        return response.text

    @staticmethod
    def _answered(response: httpx.Response) -> Json:
        if response.is_error:
            raise DemoFailed(f"{response.request.method} {response.request.url.path}: {response.text}")
        found: Json = response.json()
        return found


@click.command()
@click.option("--auto", is_flag=True, help="Walk the whole journey without a person; exit 0 if every step worked.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the API; a free one by default.")
def demo(auto: bool, port: int) -> None:
    """Show a whole payment on a simulated chain.

    It needs no network, no keys and no configuration, and leaves nothing behind.
    """
    logs.configure({logs.VARIABLE: "warning", **os.environ})
    try:
        is_over = trio.run(_demo, auto, port)
    except ExceptionGroup as error:
        failed = innermost(error)
        if not isinstance(failed, DemoFailed):
            raise
        raise failed from None
    if not is_over:
        click.echo("\nStopped. Nothing of it is left.")
        sys.exit(1 if auto else 0)


async def _demo(auto: bool, port: int) -> bool:
    """Whether it came to its end; False if somebody ended it."""
    with (
        trio.open_signal_receiver(*SIGNALS) as signals,
        tempfile.TemporaryDirectory(prefix="paynode-demo-", ignore_cleanup_errors=True) as folder,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_told, signals, nursery.cancel_scope)
            await _show(Path(folder), auto, port)
            nursery.cancel_scope.cancel()
            return True
        return False


async def _cancel_when_told(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


async def _show(folder: Path, auto: bool, port: int) -> None:
    started = trio.current_time()
    async with _running(folder, port) as running:
        _say(started, "node up", f"{running.url}, data in {folder}")
        invoice = await _sample_invoice(running)
        if auto:
            await _walk(running, invoice, started)
        else:
            await _explain(running, invoice)
            await running.shop.show_for_ever()


async def _sample_invoice(running: Demo) -> Json:
    endpoint = await running.post("/v1/webhook_endpoints", {"url": running.shop.url, "events": ["*"]})
    running.shop.trust(endpoint["secret"])
    body = {
        "amount": "49.90",
        "currency": "USD",
        "methods": ["sim_usdt"],
        "order_id": "1001",
        "name": "Order 1001",
        "provision": True,
    }
    return await running.post("/v1/invoices", body)


async def _walk(running: Demo, invoice: Json, started: float) -> None:
    """One invoice's whole life; each step is printed with how long it took, and must happen."""
    path = f"/v1/invoices/{invoice['id']}"
    method = invoice["methods"][0]
    _say(started, "created", f"{invoice['id']}: {invoice['amount']} {invoice['currency']}")
    _require(method["state"] == "active", "the invoice has no address")
    _say(started, "provisioned", f"{method['amount']} {method['symbol']} to {method['address']}")

    begun = trio.current_time()
    page = await running.page(invoice["checkout_url"])
    _require(method["address"] in page and method["amount"] in page, "the payer's page lacks the address or the amount")
    _say(begun, "page shown", invoice["checkout_url"])

    begun = trio.current_time()
    paid = await running.post(f"/v1/test/invoices/{invoice['id']}/pay", {})
    _say(begun, "customer paid", paid["tx_hash"])
    begun = trio.current_time()
    seen = await _until(running, path, lambda i: bool(i["deposits"]), "the payment is detected")
    _say(begun, "detected", f"{seen['deposits'][0]['amount']} in block {seen['deposits'][0]['block_number']}")
    confirming = await _told(running, "invoice.confirming")
    _say(begun, "confirming", f"told by event {confirming['id']}")
    done = await _until(running, path, lambda i: i["status"] == "paid", "the invoice is paid")
    _say(begun, "paid", f"{done['amount_paid']} {done['currency']}, {done['payment_state']}")
    event = await _told(running, "invoice.paid")
    _require(event["data"]["object"]["id"] == invoice["id"], "the webhook names another invoice")
    _say(begun, "webhook received and verified", f"{event['type']}, sequence {event['sequence']}")

    begun = trio.current_time()
    swept = await _until(running, path, lambda i: i["sweep_state"] == "swept", "the money is swept")
    sweep = (await running.get("/v1/sweeps"))["data"][0]
    _say(begun, "swept", f"{sweep['net']} {method['symbol']} to the treasury {sweep['treasury']}")
    _require(sweep["net_units"] == method["amount_units"], "the treasury got another amount")
    _require(swept["status"] == "paid", "the invoice is not paid any more")
    begun = trio.current_time()
    _require_balanced(running)
    _say(begun, "ledger balanced", "every posting sums to zero, and the books are what the chain holds")
    _say(started, "whole journey", "exit 0")


def _require_balanced(running: Demo) -> None:
    config = load_config(running.folder / "paynode.toml", environ={})
    database = databases.open(config.node.database)
    try:
        mismatches = database.read(audit, catalogues.build(config, {}, {}))
    finally:
        database.close()
    _require(not mismatches, "; ".join(str(mismatch) for mismatch in mismatches))


async def _until(running: Demo, path: str, is_so: Callable[[Json], bool], what: str) -> Json:
    """Poll until the invoice is so."""
    seen: Json = {}
    with trio.move_on_after(STEP_SECONDS_MAX):
        while True:
            seen = await running.get(path)
            if is_so(seen):
                return seen
            await trio.sleep(POLL_SECONDS)
    raise DemoFailed(f"after {STEP_SECONDS_MAX:.0f} s {what} is still not so; the invoice: {json.dumps(seen)}")


async def _told(running: Demo, kind: str) -> Json:
    try:
        return await running.shop.wait_for(kind, STEP_SECONDS_MAX)
    except trio.TooSlowError:
        raise DemoFailed(f"after {STEP_SECONDS_MAX:.0f} s no verified webhook {kind} has come") from None


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise DemoFailed(otherwise)


def _say(since: float, step: str, detail: str) -> None:
    click.echo(f"{(trio.current_time() - since) * 1000:8.0f} ms  {step:30} {detail}")


async def _explain(running: Demo, invoice: Json) -> None:
    await running.post("/v1/test/mine", {"blocks": REORG_BLOCKS})  # so that as many can be taken back
    click.echo(f"""
API key        {running.key}
Invoice        {invoice["id"]}: {invoice["amount"]} {invoice["currency"]}
Payer's page   {invoice["checkout_url"]}
Documentation  {running.url}/docs

Try, in another terminal:

  export PATH="{Path(sys.executable).parent}:$PATH"
  export PAYNODE_URL={running.url} PAYNODE_API_KEY={running.key}

  # pay it as a customer would, and look at it
  paynode pay {invoice["id"]}
  paynode invoice show {invoice["id"]}

  # make another one
  paynode invoice create --amount 12.50 --method sim_usdt --provision

  # see what else can happen, and have it happen: here the chain takes a payment back, and outflows may pause
  paynode trigger
  paynode trigger invoice.reversed

  # see whether they are paused, and let them go on
  curl $PAYNODE_URL/v1/node -H "Authorization: Bearer $PAYNODE_API_KEY"
  curl -X POST $PAYNODE_URL/v1/outflows/resume -H "Authorization: Bearer $PAYNODE_API_KEY"

  # have your own shop hear of it all
  paynode listen --forward-to http://127.0.0.1:4242/webhooks

Webhooks as the shop receives them (Ctrl-C ends the demo):
""")


@asynccontextmanager
async def _running(folder: Path, port: int) -> AsyncIterator[Demo]:
    """A node and a shop, both up."""
    listen, shop_listen = f"127.0.0.1:{port or _free_port()}", f"127.0.0.1:{_free_port()}"
    path = folder / "paynode.toml"
    (folder / DENY_FILE).write_text(DENIED)
    path.write_text(
        f'[node]\nmode = "sim"\ndata_dir = "{folder}"\nlisten = ["{listen}"]\n\n[stores.main]\nname = "Demo shop"\n\n'
        f'[rates]\nstatic = {{ "usdt/USD" = "1", "sim/USD" = "2000" }}\n\n[webhooks]\nallow = ["{shop_listen}"]\n'
        f'\n[screening]\ndeny_files = ["{DENY_FILE}"]\n'
        f'\n[networks.sim]\nfamily = "sim"\nsweep = {{ every = "{SWEEP_EVERY}" }}\n'
    )
    config = load_config(path, environ={})
    databases.create(config.node.database)
    database = databases.open(config.node.database)
    catalogue = database.write(startup.sync, config, branches(config), utc_now())
    scopes = STORE_SCOPES | NODE_SCOPES
    _, key = database.write(create_key, catalogue, store_id=None, name="demo", terms=Terms(scopes), now=utc_now())
    database.close()
    shop = DemoShop(f"http://{shop_listen}/webhooks")
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await _start(nursery, partial(serve_http, shop.app, [shop_listen], stop=stop), shop_listen)
        await _start(nursery, partial(serve, config, stop=stop), listen)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=f"http://{listen}", headers=headers, trust_env=False) as client:
            yield Demo(folder, f"http://{listen}", key, shop, client)
        stop.set()


async def _start(nursery: trio.Nursery, service: Callable[..., Awaitable[object]], listen: str) -> None:
    try:
        await nursery.start(service)
    except (OSError, ExceptionGroup) as error:
        problem = innermost(error)
        if not isinstance(problem, OSError) or problem.errno not in LISTEN_ERRORS:
            raise
        text = f"{listen} cannot be listened on: {problem.strerror}. Choose another --port."
        raise DemoFailed(text, ExitCode.BUSY) from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
