"""A sandbox from the command line, as a shop's developer has it: invoices, payments, events, a shop that listens."""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result
from standardwebhooks.webhooks import Webhook
from tests.cli.commands import make_sim_node, paynode, worked
from tests.lab.sandbox import Sandbox, running

from paynode import daemon
from paynode.cli import journeys, listen, main
from paynode.cli.calling import Caller
from paynode.cli.exit_codes import ExitCode
from paynode.domain.events import EventType
from paynode.domain.signing import Secret
from paynode.services import scanner

SECONDS_MAX = 120  # only a failing test waits so long
SECRET = Secret.from_key(b"s" * 32).reveal()
TAKES_BACK = {EventType.INVOICE_REVERSED, EventType.DEPOSIT_ORPHANED}  # last, since outflows may pause
EVENTS = sorted(set(journeys.JOURNEYS) - TAKES_BACK) + sorted(TAKES_BACK)


class Shop(HTTPServer):
    """Takes webhooks; what it answers is up to a test."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.status = 204
        self.taken: Queue[tuple[Mapping[str, str], bytes]] = Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks"


class Taking(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.put((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        thread = threading.Thread(target=partial(shop.serve_forever, poll_interval=0.01))
        thread.start()
        yield shop
        shop.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "denied.txt").write_text(journeys.DENIED)
    tables = f"""
        [rates]
        static = {{ "usdt/USD" = "1", "sim/USD" = "1" }}
        [screening]
        deny_files = ["denied.txt"]
        [webhooks]
        allow = ["127.0.0.1:{shop.server_port}"]
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon, "SIM_BLOCK_SECONDS", 0.1)
        patch.setattr(scanner, "TROUBLE_SECONDS", 0.1)
        patch.setattr(scanner, "RETRY_SECONDS_MAX", 0.1)
        with running(folder, tables) as sandbox:
            yield sandbox


@dataclass
class Developer:
    """Somebody at a terminal with the key in a variable."""

    sandbox: Sandbox
    environ: dict[str, str] = field(default_factory=dict)

    def says(self, *arguments: str) -> Result:
        environ = {"PAYNODE_URL": self.sandbox.url, "PAYNODE_API_KEY": self.sandbox.key, **self.environ}
        return CliRunner(env=environ).invoke(main, arguments)

    def sees(self, *arguments: str) -> Any:
        return json.loads(worked(self.says(*arguments, "--json")))

    def client(self) -> httpx.Client:
        """The same person, not on the command line."""
        headers = {"Authorization": f"Bearer {self.sandbox.key}"}
        return httpx.Client(base_url=self.sandbox.url, headers=headers, trust_env=False, timeout=SECONDS_MAX)


@pytest.fixture
def developer(sandbox: Sandbox) -> Developer:
    return Developer(sandbox)


def test_an_invoice_is_made_listed_paid_and_shown(developer: Developer) -> None:
    data = '{"name": "Shoes", "metadata": {"size": "42"}}'
    order = ("--amount", "12.50", "--method", "sim_usdt", "--order-id", "A-1", "--data", data, "--provision")
    made = developer.sees("invoice", "create", *order, "--idempotency-key", "order A-1")
    assert (made["amount"], made["currency"], made["name"]) == ("12.50", "USD", "Shoes")
    assert made["metadata"] == {"size": "42"}
    assert developer.sees("invoice", "create", *order, "--idempotency-key", "order A-1")["id"] == made["id"]
    assert developer.sees("pay", made["id"], "--percent", "40")["amount"] == "5"
    worked(developer.says("pay", made["id"], "--amount", "7.5", "--method", "sim_usdt", "--from", "sim1" + "ab" * 20))
    assert [each["id"] for each in developer.sees("invoice", "list", "--q", "A-1")["data"]] == [made["id"]]
    assert made["id"] in worked(developer.says("invoice", "list", "--limit", "100"))
    assert made["methods"][0]["address"] in worked(developer.says("invoice", "show", made["id"]))


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_that_can_be_triggered_happens(developer: Developer, shop: Shop, event: EventType) -> None:
    if event is EventType.PING:
        with developer.client() as client:
            client.post("/v1/webhook_endpoints", json={"url": shop.url, "events": ["ping"]}).raise_for_status()
    assert developer.sees("trigger", event)["type"] == event


def test_what_can_be_triggered_is_listed_and_the_rest_is_refused(developer: Developer) -> None:
    listed = worked(developer.says("trigger"))
    assert [line.split()[0] for line in listed.splitlines()] == list(journeys.JOURNEYS)
    assert developer.says("trigger", "treasury.changed").exit_code == ExitCode.PROBLEM
    assert developer.says("trigger", "invoice.lost").exit_code == ExitCode.USAGE
    refused = developer.says("trigger", "screening.flagged", "--from", "sim1" + "ab" * 20)
    assert (refused.exit_code, "deny_files" in refused.stderr) == (ExitCode.PROBLEM, True)


@pytest.mark.parametrize(("status", "code"), [(204, ExitCode.OK), (500, ExitCode.PROBLEM)])
def test_a_shop_that_listens_gets_what_a_webhook_would_carry(
    developer: Developer, shop: Shop, monkeypatch: pytest.MonkeyPatch, status: int, code: int
) -> None:
    shop.status, shop.taken = status, Queue()
    developer.environ["PAYNODE_WEBHOOK_SECRET"] = SECRET
    heard: Queue[Result] = Queue()
    begun = threading.Event()
    look_up = listen.newest

    def newest(node: Caller) -> str:
        found = look_up(node)
        begun.set()
        return found

    def hear() -> None:
        kinds = ("--events", "invoice.created,invoice.cancelled", "--until", "invoice.cancelled")
        heard.put(developer.says("listen", "--forward-to", shop.url, *kinds))

    monkeypatch.setattr(listen, "newest", newest)
    thread = threading.Thread(target=hear)
    thread.start()
    assert begun.wait(SECONDS_MAX)
    with developer.client() as client:
        invoice = client.post("/v1/invoices", json={"amount": "1", "currency": "USD"}).json()
        client.post(f"/v1/invoices/{invoice['id']}/cancel").raise_for_status()
        events = client.get("/v1/events", params={"subject": invoice["id"]}).json()["data"]
    result = heard.get(timeout=SECONDS_MAX)
    thread.join()
    assert (result.exit_code, f"Secret: {SECRET}" in result.stdout) == (code, True)
    assert f"invoice.cancelled {events[0]['id']}: the shop answers {status}" in result.stdout
    for event in reversed(events):
        sent, body = shop.taken.get_nowait()
        told = Webhook(SECRET).verify(body, dict(sent))
        assert told == {name: value for name, value in event.items() if name not in {"object", "subject"}}


def test_listening_goes_on_where_a_lost_connection_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"object": "event", "type": "ping", "created_at": "", "sequence": 1, "livemode": False, "store": None}
    event |= {"data": {"object": {}, "previous": {}}, "subject": "x"}
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["last-event-id"])
        match len(asked):
            case 2:
                raise httpx.ReadError("lost")
            case 3:
                return httpx.Response(503)
        written = json.dumps({**event, "id": f"evt_{len(asked)}"})
        return httpx.Response(200, text=f"retry: 3000\n\n: still here\n\nid: x\nevent: ping\ndata: {written}\n\n")

    monkeypatch.setattr(listen, "AGAIN_SECONDS", 0)
    with httpx.Client(base_url="http://node", transport=httpx.MockTransport(answer)) as client:
        found = listen.follow(Caller(client), "evt_0", None)
        assert [next(found).id for _ in range(3)] == ["evt_1", "evt_4", "evt_5"]
        found.close()
    assert asked == ["evt_0", "evt_1", "evt_1", "evt_1", "evt_4"]


def test_whatever_is_wrong_ends_in_a_sentence_and_an_exit_code(developer: Developer, tmp_path: Path) -> None:
    def ends(code: ExitCode, part: str, *arguments: str, **environ: str) -> None:
        result = Developer(developer.sandbox, environ).says(*arguments)
        assert (result.exit_code, part in result.stderr) == (code, True), result.output

    nobody = ("--url", "http://127.0.0.1:1")
    show = ("invoice", "show", "inv_1")
    ends(ExitCode.UNAVAILABLE, "No node answers", *show, *nobody)
    ends(ExitCode.UNAVAILABLE, "No node answers", "listen", "--forward-to", "http://127.0.0.1:1", *nobody)
    ends(ExitCode.USAGE, "PAYNODE_API_KEY", *show, PAYNODE_API_KEY="")
    ends(ExitCode.USAGE, "no API key", *show, PAYNODE_API_KEY="pn_sim_\n1")
    ends(ExitCode.USAGE, "no URL", *show, "--url", "node:1")
    ends(ExitCode.USAGE, "no id", "invoice", "show", "../events")
    ends(ExitCode.USAGE, "PAYNODE_URL", *show, "-c", str(tmp_path / "none.toml"), PAYNODE_URL="")
    ends(ExitCode.USAGE, "not JSON", "invoice", "create", "--data", "{")
    ends(ExitCode.USAGE, "JSON object", "invoice", "create", "--data", "[]")
    ends(ExitCode.PROBLEM, "404 not_found", *show)
    ends(ExitCode.PROBLEM, "/amount: This field", "invoice", "create")
    ends(ExitCode.PROBLEM, "401", *show, PAYNODE_API_KEY="pn_sim_x")
    ends(ExitCode.PROBLEM, "Only a sandbox", "pay", "inv_1", PAYNODE_API_KEY="pn_live_x")
    to = ("listen", "--forward-to", "http://127.0.0.1:1")
    ends(ExitCode.USAGE, "--until", *to, "--until", "invoice.lost")
    ends(ExitCode.USAGE, "holds no secret", *to, PAYNODE_WEBHOOK_SECRET="secret")  # it is none


def test_the_config_says_where_the_node_is_and_a_file_has_the_key(developer: Developer, tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    path = tmp_path / "paynode.toml"
    path.write_text(path.read_text().replace("127.0.0.1:8080", developer.sandbox.url.removeprefix("http://")))
    (tmp_path / "key").write_text(f"{developer.sandbox.key}\n")
    worked(paynode(tmp_path, "invoice", "list", "--key-file", str(tmp_path / "key")))


def test_no_command_takes_a_key_as_an_argument() -> None:
    for name in ("invoice", "pay", "listen", "trigger"):
        found = main.get_command(click.Context(main), name)
        assert found is not None
        for command in found.commands.values() if isinstance(found, click.Group) else [found]:
            options = {option for parameter in command.params for option in parameter.opts}
            assert "--key-file" in options
            assert options.isdisjoint({"--key", "--api-key"})
