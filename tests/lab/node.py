"""A whole node for a test: `paynode run` as a process of its own, on a real chain, with a merchant's receiver."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trio
from click.testing import CliRunner
from standardwebhooks import Webhook, WebhookVerificationError
from tests.lab.anvil import _die_with_parent
from tests.lab.client import Deployed, Lab
from tests.lab.receiver import Hook, Receiver

from paynode.api.payment_methods import UNSEEN
from paynode.cli import main
from paynode.config import Secret
from paynode.domain.key_paths import gas_path
from paynode.seed import Seed

# The mnemonic of BIP-39's first test vector: of no worth to anybody.
MNEMONIC = "abandon " * 11 + "about"
TREASURY = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"  # of the private key 1
WAIT_SECONDS = 180.0  # for what a healthy node does within a few, when the machine has much else to do
POLL_SECONDS = 0.1
HOT = 'mnemonic_file = "mnemonic"'
KEY = re.compile(r"pn_test_\w+")

# The daemon on a machine whose clock is ten minutes ahead of the chain's.
TEN_MINUTES_AHEAD = """
from datetime import UTC, datetime, timedelta
from functools import partial
from paynode import daemon
daemon.serve = partial(daemon.serve, clock=lambda: datetime.now(UTC) + timedelta(minutes=10))
from paynode.__main__ import main
main()
"""

Json = dict[str, Any]


@dataclass
class Node:
    """One node. It may be killed and started again; its folder stays."""

    folder: Path
    lab: Lab
    port: int
    receiver: Receiver
    env: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    node_key: str = ""
    secret: str = ""
    process: subprocess.Popen[bytes] | None = None
    program: Sequence[str] = ("-m", "paynode")  # what Python runs; its arguments follow
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=60))
    body_by_hook: dict[Hook, Json] = field(default_factory=dict)  # of those whose signature is right

    @property
    def config(self) -> Path:
        return self.folder / "paynode.toml"

    # The process.

    def paynode(self, *arguments: str) -> str:
        """What a command prints, beside the daemon in this process; it must succeed."""
        done = CliRunner(env=self.env).invoke(main, [*arguments, "-c", str(self.config)])
        assert done.exit_code == 0, f"paynode {' '.join(arguments)}: {done.output}"
        return str(done.stdout)

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """How a command of its own process ends, well or not."""
        return subprocess.run(
            [sys.executable, "-m", "paynode", *arguments, "-c", str(self.config)],
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
            env={**os.environ, **self.env},
        )

    def edit_config(self, old: str, new: str) -> None:
        """Exchange some text of the config, as its owner would before the next start."""
        text = self.config.read_text()
        assert text.count(old) == 1, f"{old} is there {text.count(old)} times"
        self.config.write_text(text.replace(old, new))

    def launch(self, **env: str) -> None:
        """Start the daemon, without waiting for it."""
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "run", "-c", str(self.config)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env, **env},
                preexec_fn=_die_with_parent,
            )

    async def start(self, **env: str) -> None:
        """Start the daemon and wait until it answers and watches its chain."""
        self.launch(**env)
        await self.until(self._is_watching, "the node is up and watches its chain")

    async def start_blind(self, **env: str) -> None:
        """Start the daemon and wait until it answers, whatever it sees of its chain."""
        self.launch(**env)
        await self.until(self._answers, "the node answers")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(WAIT_SECONDS)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text(errors="replace")

    async def _is_watching(self) -> bool:
        assert self.is_running, f"the node has ended: {self.log[-3000:]}"
        methods = await self.get("/v1/payment_methods")
        # Not ready and looked at: presets' tokens, which no chain of the lab has.
        return all(method["reason"] != UNSEEN for method in methods["data"])

    async def _answers(self) -> bool:
        assert self.is_running, f"the node has ended: {self.log[-3000:]}"
        return (await self.client.get(self.url + "/v1/status")).status_code == 200

    # Its API.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, *, key: str | None = None) -> Json:
        answer = await self.client.get(self.url + path, headers={"Authorization": f"Bearer {key or self.key}"})
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    async def post(self, path: str, body: Json | None = None, *, key: str | None = None, named: str = "") -> Json:
        headers = {"Authorization": f"Bearer {key or self.key}"} | ({"Idempotency-Key": named} if named else {})
        answer = await self.client.post(self.url + path, json=body or {}, headers=headers)
        assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    async def listed(self, what: str) -> list[Json]:
        """Everything of a list, as long as it is one page."""
        page = await self.get(f"/v1/{what}?limit=100")
        assert not page["has_more"], f"more {what} than a test should make"
        found: list[Json] = page["data"]
        return found

    async def all_of(self, what: str) -> list[Json]:
        """A whole list, oldest first, page by page."""
        found: list[Json] = []
        after = ""
        while True:
            page = await self.get(f"/v1/{what}?limit=100&sort=created_at{after}")
            found += page["data"]
            if not page["has_more"]:
                return found
            after = f"&starting_after={page['next_cursor']}"

    async def network(self, name: str = "eth") -> Json:
        """A network as its owner sees it."""
        self.node_key = self.node_key or self.paynode("keys", "create", "--node").split()[-1]
        return await self.get(f"/v1/networks/{name}", key=self.node_key)

    async def until_network(self, state: str, name: str = "eth") -> Json:
        """The network, once it is in this state."""

        async def is_so() -> Json | None:
            seen = await self.network(name)
            return seen if seen["state"] == state else None

        found: Json = await self.until(is_so, f"{name} is {state}")
        return found

    async def until_told(self, kind: str, count: int = 1) -> list[Json]:
        """The events of one kind, once the merchant was told so many."""

        async def is_so() -> list[Json] | None:
            found = [event for event in self.events() if event["type"] == kind]
            return found if len(found) >= count else None

        found: list[Json] = await self.until(is_so, f"{count} webhooks {kind}")
        return found

    async def invoice(self, amount: str, method: str, **more: Any) -> Json:
        """A new invoice with one method and its address."""
        body = {"amount": amount, "currency": "USD", "methods": [method], "provision": True, **more}
        return await self.post("/v1/invoices", body)

    async def seen(self, invoice: Json) -> Json:
        return await self.get(f"/v1/invoices/{invoice['id']}")

    async def until(self, is_so: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
        """Poll until `is_so()` gives something true; returns it."""
        with trio.move_on_after(seconds):
            while True:
                try:
                    if found := await is_so():
                        return found
                except httpx.TransportError:
                    pass  # it is just starting, or was just killed
                await trio.sleep(POLL_SECONDS)
        raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self.log[-4000:]}")

    async def until_invoice(self, invoice: Json, **fields: Any) -> Json:
        """The invoice, once its fields have these values."""
        last: Json = {}

        async def is_so() -> Json | None:
            nonlocal last
            last = await self.seen(invoice)
            return last if all(last[name] == value for name, value in fields.items()) else None

        try:
            found: Json = await self.until(is_so, f"invoice with {fields}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{last}") from None
        return found

    # What it told its merchant.

    def events(self, invoice: Json | None = None) -> list[Json]:
        """Every verified event received, in the order of its sequence if it is about one invoice; each once."""
        by_id: dict[str, Json] = {}
        for hook in self.receiver.hooks_of("/hooks"):
            body = self._verified(hook)
            assert by_id.setdefault(body["id"], body) == body, "one event id, one body"
        found = list(by_id.values())
        if invoice is not None:
            found = [event for event in found if event["data"]["object"].get("id") == invoice["id"]]
            found.sort(key=lambda event: event["sequence"])
        return found

    def verify(self, hook: Hook) -> None:
        """Verify it as it comes, as a merchant does: a signature is good for minutes. `events` raises what is wrong."""
        if hook.path == "/hooks" and self.secret:
            with suppress(WebhookVerificationError):
                self._verified(hook)

    def _verified(self, hook: Hook) -> Json:
        if hook not in self.body_by_hook:
            self.body_by_hook[hook] = Webhook(self.secret).verify(hook.body, dict(hook.headers))
        return self.body_by_hook[hook]

    def event_types(self, invoice: Json) -> list[str]:
        return [event["type"] for event in self.events(invoice)]


@asynccontextmanager
async def node(
    folder: Path,
    lab: Lab,
    receiver: Receiver,
    tokens: Mapping[str, tuple[Deployed, int]],
    *,
    rpc: Sequence[str] = (),
    confirmations: int = 3,
    custody: str = HOT,
    sweep: str = 'every = "1s"',
    network: str = "",
    more: str = "",
    gas_units: int = 10**18,
    env: Mapping[str, str] | None = None,
    is_blind: bool = False,
) -> AsyncIterator[Node]:
    """A node on the lab's chain, called `eth`, with these tokens (contract and decimals by symbol), each worth 1 USD.

    Its gas station gets `gas_units` of the native coin. `rpc` replaces the lab's own URL, `network` are more
    settings of the network, `more` are tables of the config, and `is_blind` says that it need not reach its chain to
    begin with.
    """
    listed = "\n".join(
        f'tokens.{symbol} = {{ contract = "{token.address}", decimals = {decimals}, stable = true }}'
        for symbol, (token, decimals) in tokens.items()
    )
    rates = ", ".join(['"eth/USD" = "2000"', *(f'"{symbol}/USD" = "1"' for symbol in tokens)])
    reserved, port = _reserved_port()
    running = Node(folder, lab, port, receiver, env or {})
    running.config.write_text(f"""
[node]
mode = "test"
data_dir = "{folder}/data"
listen = ["127.0.0.1:{port}"]

[custody]
{custody}

[networks.eth]
family = "evm"
chain_id = {lab.chain_id}
rpc = {list(rpc) or [lab.url]}
confirmations = {confirmations}
reorg_horizon = 64
tick_seconds = 1
treasury = "{TREASURY}"
native = {{ symbol = "eth", decimals = 18 }}
{listed}
sweep = {{ {sweep} }}
{network}

[rates]
static = {{ {rates} }}

[webhooks]
allow = {receiver.allow}
{more}
""")
    if HOT in custody:
        mnemonic = folder / "mnemonic"
        mnemonic.write_text(MNEMONIC)
        mnemonic.chmod(0o600)
    printed = KEY.search(running.paynode("init"))
    assert printed is not None, "init prints the first key"
    running.key = printed[0]
    try:
        if gas_units:
            await lab.send_native(gas_address(), gas_units)
        await (running.start_blind() if is_blind else running.start())
        endpoint = await running.post("/v1/webhook_endpoints", {"url": receiver.url("/hooks"), "events": ["*"]})
        running.secret = endpoint["secret"]
        receiver.on_hook = running.verify
        yield running
        if running.is_running:
            assert running.stop() == 0, running.log[-3000:]
    finally:
        if running.is_running:
            running.kill()
        await running.client.aclose()
        reserved.close()


def gas_address() -> str:
    """The gas station of the test mnemonic's first account."""
    return Seed(Secret(MNEMONIC)).address(gas_path(0))


def _reserved_port() -> tuple[socket.socket, int]:
    """A loopback port that nobody else is given while the socket is open; the node may listen on it all the same."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved, reserved.getsockname()[1]
