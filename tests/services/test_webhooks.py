"""The webhooks service between a real database and real receivers on loopback.

Its clock stands still until a test moves it; nothing sleeps. `WatchedBells` tell when the service has finished a turn,
so a test waits for what it expects and not for time to pass.
"""

import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.lab.receiver import Hook, Receiver
from tests.lab.shop import Clock, Shop, open_shop, sim_config

from paynode import __version__
from paynode.domain.delivery import RETRY_EVERY, STANDARD
from paynode.domain.events import EventType
from paynode.domain.signing import SignatureFormat
from paynode.operations import callbacks, deliveries, endpoints
from paynode.operations.announcing import announce
from paynode.operations.callbacks import CreateCallback
from paynode.operations.deliveries import IN_FLIGHT_PER_LANE_MAX
from paynode.outbound import Outbound
from paynode.services import webhooks
from paynode.store import outbox
from paynode.store.bells import DELIVERIES, Bells
from paynode.store.outbox import AttemptRecord, DeliveryRecord, EndpointRecord
from paynode.store.pages import Page

PATIENCE_SECONDS = 120  # only a failing test waits so long


class WatchedBells(Bells):
    """Bells that tell whenever somebody has nothing left to do but to wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self._turned = trio.Event()

    async def wait(self, *names: str, seconds: float) -> bool:
        self._turned.set()
        self._turned = trio.Event()
        return await super().wait(*names, seconds=seconds)

    async def turn(self) -> None:
        await self._turned.wait()


class Bench:
    """A shop, its receiver, and the service that runs between them until it is stopped."""

    def __init__(self, shop: Shop, receiver: Receiver, nursery: trio.Nursery) -> None:
        self.shop, self.receiver, self.nursery = shop, receiver, nursery
        self.clock = Clock(datetime.now(UTC))  # the public verifier compares with the machine's own
        self.bells = shop.database.bells = WatchedBells()
        self.beats_count = 0
        self.passed: list[str] = []

    def beat(self) -> None:
        self.beats_count += 1

    async def start(self, *, allow: bool = True) -> trio.CancelScope:
        """Start the service; cancelling the scope is what a crash between two commits looks like to the rows."""

        async def run(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
            with trio.CancelScope() as scope:
                async with Outbound(self.receiver.allow if allow else ()) as outbound, trio.open_nursery() as nursery:
                    await nursery.start(
                        partial(
                            webhooks.run,
                            self.shop.database,
                            self.shop.catalogue,
                            outbound,
                            clock=self.clock,
                            time_of_day=self.clock,
                            jitter=lambda: Decimal(0),
                            beat=self.beat,
                            passing=self.passed.append,
                        )
                    )
                    task_status.started(scope)

        scope: trio.CancelScope = await self.nursery.start(run)
        return scope

    def add_endpoint(self, path: str) -> EndpointRecord:
        return self.shop.database.write(
            endpoints.create_endpoint,
            self.shop.store_id,
            url=self.receiver.url(path),
            events=["*"],
            secret=None,
            now=self.clock(),
            check=Outbound(self.receiver.allow).check,
        )

    def tell(self, text: str = "") -> str:
        return self.shop.database.write(
            announce,
            self.shop.catalogue,
            EventType.INVOICE_PAID,
            subject="inv_1",
            store_id=self.shop.store_id,
            view={"object": "invoice", "name": text},
            now=self.clock(),
        )

    def owed(self, endpoint: EndpointRecord) -> list[DeliveryRecord]:
        page = Page(1000, ascending=True)
        return self.shop.database.read(outbox.listed_deliveries, None, page, endpoint_id=endpoint.id).entries

    def callback(self) -> DeliveryRecord:
        """The only delivery to the callback of the invoice that is told of."""
        [delivery] = self.shop.database.read(outbox.listed_deliveries, None, Page(10), subject="inv_1").entries
        return delivery

    def states(self, endpoint: EndpointRecord) -> set[str]:
        return {delivery.state for delivery in self.owed(endpoint)}

    def attempts(self, endpoint: EndpointRecord) -> list[AttemptRecord]:
        """All attempts at the endpoint's only delivery."""
        [delivery] = self.owed(endpoint)
        return self.shop.database.read(outbox.attempts, delivery.id)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the service take turns until it is so."""
        while not is_so():
            await self.bells.turn()

    async def until_attempts(self, endpoint: EndpointRecord, count: int) -> None:
        await self.until(lambda: len(self.attempts(endpoint)) >= count)

    def advance(self, step: timedelta) -> None:
        self.clock.advance(step)
        self.bells.ring(DELIVERIES)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    shop = open_shop(sim_config(tmp_path))
    receiver = Receiver()
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            await receiver.listen(nursery)
            yield Bench(shop, receiver, nursery)
            nursery.cancel_scope.cancel()
    shop.database.close()


async def test_the_public_library_verifies_what_arrives_and_the_body_is_the_event(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    event_id = bench.tell("Zahlung für 木")
    [hook] = await bench.receiver.wait_for("/hooks", 1)
    body: dict[str, Any] = Webhook(endpoint.secret).verify(hook.body, dict(hook.headers))
    assert (body["id"], body["type"], body["data"]["object"]["name"]) == (event_id, "invoice.paid", "Zahlung für 木")
    assert hook.id == event_id
    assert hook.headers["content-type"] == "application/json"
    assert hook.headers["user-agent"] == f"paynode/{__version__}"
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    [attempt] = bench.attempts(endpoint)
    assert (attempt.status, attempt.error, attempt.response_excerpt) == (200, None, "thanks")


async def test_the_loop_beats_at_every_turn_and_tells_the_points_around_each_post(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    before = bench.beats_count
    bench.tell()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    assert bench.passed == ["before webhook", "after webhook"]
    assert bench.beats_count > before


async def test_an_announcement_is_delivered_without_waiting_for_a_poll(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 10 * PATIENCE_SECONDS)
    bench.add_endpoint("/hooks")
    await bench.start()
    for count in (1, 2, 3):
        bench.tell()
        await bench.receiver.wait_for("/hooks", count)


async def test_what_another_process_wrote_is_found_by_polling(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bells do not ring here: the announcement is made while nobody is there to hear them."""
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 0.01)
    bench.add_endpoint("/hooks")
    await bench.start()
    monkeypatch.setattr(bench.bells, "ring", lambda name: None)
    bench.tell()
    await bench.receiver.wait_for("/hooks", 1)


async def test_a_retry_waits_no_longer_because_the_clock_was_set_back(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    bench.receiver.manners["/hooks"] = "500"
    await bench.start()
    bench.tell()
    await bench.until_attempts(endpoint, 1)
    [before] = bench.owed(endpoint)
    bench.advance(timedelta(hours=-1))
    await bench.until(lambda: bench.owed(endpoint) != [before])
    [after] = bench.owed(endpoint)
    assert before.next_attempt_at is not None
    assert after.next_attempt_at is not None
    brought_forward = before.next_attempt_at - after.next_attempt_at
    assert timedelta(hours=1) <= brought_forward < timedelta(hours=1, seconds=PATIENCE_SECONDS)


async def test_events_arrive_in_the_order_they_were_announced(bench: Bench) -> None:
    """As long as one is under way at a time, that is: places run beside each other."""
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    event_ids = []
    for count in range(1, 6):
        event_ids.append(bench.tell())
        await bench.until(lambda: bench.states(endpoint) == {"delivered"})
        assert len(bench.receiver.hooks) == count
    assert [hook.id for hook in bench.receiver.hooks] == event_ids


@pytest.mark.parametrize(
    ("manner", "status", "excerpt"),
    [
        ("500", 500, "thanks"),
        ("404", 404, "thanks"),
        ("flood", 500, "x" * 1024),
        ("redirect", 307, ""),
    ],
)
async def test_what_is_not_2xx_is_kept_and_tried_again_under_the_same_id_until_it_is(
    bench: Bench, manner: str, status: int, excerpt: str
) -> None:
    bench.receiver.manners["/hooks"] = manner
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    event_id = bench.tell()
    await bench.until_attempts(endpoint, 1)
    [attempt] = bench.attempts(endpoint)
    assert (attempt.status, attempt.error, attempt.response_excerpt) == (status, None, excerpt)
    bench.receiver.manners.clear()
    bench.advance(STANDARD.waits[1])
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    first, second = bench.receiver.hooks_of("/hooks")
    assert first.id == second.id == event_id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    Webhook(endpoint.secret).verify(second.body, dict(second.headers))
    assert bench.receiver.hooks_of("/elsewhere") == []


async def test_a_2xx_whose_connection_closes_is_accepted(bench: Bench) -> None:
    bench.receiver.manners["/hooks"] = "close"
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    bench.tell()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    assert bench.attempts(endpoint)[0].response_excerpt == "ok"


async def test_a_receiver_that_never_accepts_is_tried_on_the_published_schedule_and_given_up(bench: Bench) -> None:
    """The clock goes to a second before each moment, where nothing may be sent, and then to it."""
    bench.receiver.manners["/hooks"] = "503"
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    bench.tell()
    await bench.until_attempts(endpoint, 1)
    second = timedelta(seconds=1)
    for count, wait in enumerate(STANDARD.waits[1:], start=2):
        bench.advance(wait - second)
        await bench.bells.turn()
        assert bench.shop.database.read(deliveries.due, bench.clock(), {}) == []
        bench.advance(second)
        await bench.until_attempts(endpoint, count)
        assert len(bench.receiver.hooks) == count
    assert bench.states(endpoint) == {"abandoned"}
    sent_at = [attempt.at for attempt in bench.attempts(endpoint)]
    assert [after - before for before, after in pairwise(sent_at)] == list(STANDARD.waits[1:])


async def test_a_receiver_that_is_gone_is_disabled_and_the_other_endpoint_hears_of_it(bench: Bench) -> None:
    bench.receiver.manners["/gone"] = "410"
    gone, other = bench.add_endpoint("/gone"), bench.add_endpoint("/other")
    await bench.start()
    bench.tell()
    hooks = await bench.receiver.wait_for("/other", 2)
    disabled = [json.loads(hook.body) for hook in hooks if b"webhook_endpoint.disabled" in hook.body]
    assert [body["data"]["object"]["id"] for body in disabled] == [gone.id]
    assert len(bench.receiver.hooks_of("/gone")) == 1
    assert bench.states(gone) == {"abandoned"}
    await bench.until(lambda: bench.states(other) == {"delivered"})


async def test_bad_receivers_delay_no_good_one(bench: Bench) -> None:
    """Twenty endpoints, all bad but one, and more events than they have places: the good one gets them all while the
    hanging ones hold their first."""
    events_count = 3 * IN_FLIGHT_PER_LANE_MAX
    bad = {f"/bad/{n}": manner for n, manner in enumerate(["hang"] * 16 + ["500", "flood", "redirect"])}
    bench.receiver.manners |= bad
    for path in bad:
        bench.add_endpoint(path)
    good = bench.add_endpoint("/good")
    await bench.start()
    event_ids = [bench.tell() for _ in range(events_count)]
    hooks = await bench.receiver.wait_for("/good", events_count)
    assert sorted(hook.id for hook in hooks) == sorted(event_ids)
    await bench.until(lambda: bench.states(good) == {"delivered"})
    for path, manner in bad.items():
        if manner == "hang":
            assert len(bench.receiver.hooks_of(path)) <= IN_FLIGHT_PER_LANE_MAX


async def test_a_backlog_goes_out_with_few_at_a_time_and_each_once(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    event_ids = [bench.tell() for _ in range(50)]
    await bench.start()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    assert sorted(hook.id for hook in bench.receiver.hooks) == sorted(event_ids)


async def test_a_crash_between_the_post_and_its_record_sends_the_same_event_again(bench: Bench) -> None:
    bench.receiver.manners["/hooks"] = "hang"
    endpoint = bench.add_endpoint("/hooks")
    first_run = await bench.start()
    event_id = bench.tell()
    await bench.receiver.wait_for("/hooks", 1)
    first_run.cancel()
    assert (bench.states(endpoint), bench.attempts(endpoint)) == ({"due"}, [])

    bench.receiver.manners.clear()
    await bench.start()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    assert [hook.id for hook in bench.receiver.hooks] == [event_id, event_id]
    assert len(bench.attempts(endpoint)) == 1


async def test_what_became_due_while_the_node_was_down_goes_out_when_it_starts(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    bench.tell()
    bench.tell()
    bench.advance(timedelta(days=2))
    await bench.start()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    assert len(bench.receiver.hooks) == 2


async def test_a_replay_arrives_under_the_same_id(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    await bench.start()
    event_id = bench.tell()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})
    [delivery] = bench.owed(endpoint)
    bench.shop.database.write(deliveries.replay, delivery.id, bench.shop.store_id, bench.clock())
    await bench.until_attempts(endpoint, 2)
    assert [hook.id for hook in bench.receiver.hooks] == [event_id, event_id]


async def test_a_forbidden_address_is_not_contacted_and_its_event_not_lost(bench: Bench) -> None:
    """The operator allows the address only after the first attempt, and starts the node again."""
    endpoint = bench.add_endpoint("/hooks")
    strict = await bench.start(allow=False)
    bench.tell()
    await bench.until_attempts(endpoint, 1)
    [attempt] = bench.attempts(endpoint)
    assert (attempt.status, attempt.response_excerpt) == (None, None)
    assert "not public" in (attempt.error or "")
    assert bench.receiver.hooks == []
    strict.cancel()
    bench.advance(STANDARD.waits[1])
    await bench.start()
    await bench.until(lambda: bench.states(endpoint) == {"delivered"})


async def test_a_receiver_that_is_down_is_tried_again(bench: Bench) -> None:
    """Its port is taken, but nobody listens on it."""
    with trio.socket.socket() as deaf:
        await deaf.bind(("127.0.0.1", 0))
        bench.receiver.port = deaf.getsockname()[1]
        endpoint = bench.add_endpoint("/hooks")
        await bench.start()
        bench.tell()
        await bench.until_attempts(endpoint, 1)
    assert bench.attempts(endpoint)[0].error == "no connection to the receiver"
    assert bench.states(endpoint) == {"due"}


async def test_the_log_tells_the_host_of_a_failure_and_no_secret(bench: Bench) -> None:
    bench.receiver.manners["/hooks/token-in-path"] = "500"
    endpoint = bench.add_endpoint("/hooks/token-in-path")
    with structlog.testing.capture_logs() as entries:
        await bench.start()
        bench.tell("private")
        await bench.until_attempts(endpoint, 1)
    [entry] = entries
    assert (entry["lane"], entry["status"]) == (endpoint.id, 500)
    assert entry["host"] == f"127.0.0.1:{bench.receiver.port}"
    for secret in (endpoint.secret, "token-in-path", "private", "thanks"):
        assert secret not in repr(entry)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.example/path?token=1", "shop.example"),
        ("HTTP://Shop.example:8080", "Shop.example:8080"),
        ("https://[2606:4700::1]:8443#x", "[2606:4700::1]:8443"),
        ("https://shop.example?token=1", "shop.example"),
        ("https://user:password@shop.example/", ""),
    ],
)
def test_of_a_url_only_the_host_may_be_logged(url: str, host: str) -> None:
    assert webhooks._host(url) == host


def verifies(endpoint: EndpointRecord, hook: Hook) -> bool:
    try:
        Webhook(endpoint.secret).verify(hook.body, dict(hook.headers))
    except WebhookVerificationError:
        return False
    return True


async def test_for_a_day_after_a_rotation_the_secret_before_it_verifies_too(bench: Bench) -> None:
    records = [bench.add_endpoint("/hooks")]
    await bench.start()
    for count, verified in enumerate([[True], [True, True], [False, True, True]], start=1):
        bench.tell()
        hook = (await bench.receiver.wait_for("/hooks", count))[-1]
        assert [verifies(record, hook) for record in records] == verified
        endpoint_id = records[0].id
        rotated = bench.shop.database.write(endpoints.rotate_secret, endpoint_id, None, secret=None, now=bench.clock())
        records.append(rotated)
    for step, count, signatures in ((timedelta(hours=24, seconds=-1), 4, 2), (timedelta(seconds=1), 5, 1)):
        bench.advance(step)
        bench.tell()
        hook = (await bench.receiver.wait_for("/hooks", count))[-1]
        assert len(hook.headers["webhook-signature"].split()) == signatures


async def test_a_callback_arrives_signed_with_its_own_secret_and_is_tried_each_minute_until_200(bench: Bench) -> None:
    command = CreateCallback(bench.receiver.url("/paid?order=7"), "any text", retries=2, echoes_secret=True)
    bench.shop.database.write(callbacks.add_callback, "inv_1", bench.shop.store_id, command)
    bench.receiver.manners["/paid?order=7"] = "201"
    await bench.start()
    with structlog.testing.capture_logs() as entries:
        event_id = bench.tell()
        [first] = await bench.receiver.wait_for("/paid?order=7", 1)
        await bench.until(lambda: bool(entries))
        bench.receiver.manners.clear()
        await bench.until(lambda: bench.callback().attempt_count == 1)
        bench.advance(RETRY_EVERY)
        await bench.until(lambda: bench.callback().state == "delivered")
    [_, second] = bench.receiver.hooks
    for hook in (first, second):
        body = Webhook(b"any text").verify(hook.body, dict(hook.headers))
        assert (hook.id, body["id"], body["callback_secret"], body["secret_key"]) == (
            event_id,
            event_id,
            *["any text"] * 2,
        )
    [kept, _] = bench.shop.database.read(outbox.attempts, bench.callback().id)
    assert kept.response_excerpt is None  # what receivers answer may repeat what they got
    assert "any text" not in repr(entries)
    assert "order=7" not in repr(entries)


async def test_an_endpoint_that_wants_hex_gets_one_header_that_openssl_would_make(bench: Bench) -> None:
    endpoint = bench.add_endpoint("/hooks")
    outbound = Outbound(bench.receiver.allow)
    bench.shop.database.write(
        endpoints.update_endpoint,
        bench.shop.catalogue,
        endpoint.id,
        None,
        signature_format=SignatureFormat.HEX,
        now=bench.clock(),
        check=outbound.check,
    )
    await bench.start()
    bench.tell()
    [hook] = await bench.receiver.wait_for("/hooks", 1)
    expected = hmac.digest(endpoint.secret.encode(), hook.body, "sha256").hex()
    assert hook.headers["x-signature"] == expected
    assert {"webhook-signature", "x-signature-old"} & hook.headers.keys() == set()
