"""What a sandbox lives through so that an event happens: a journey for each kind that can be caused.

Nothing is pretended. A journey does what a shop, a customer, a chain or the time would do, over the API, and the node
then tells the event as it always does.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paynode.cli.calling import Caller, Json
from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure
from paynode.domain.events import EventType

DENIED = "sim1" + "bad0" * 10  # on the list of addresses of `paynode demo`
WAIT_SECONDS_MAX = 45.0  # a network's trouble is told after fifteen
POLL_SECONDS = 0.1
SPARE_BLOCKS = 5
OPEN_FOR = "1m"  # the shortest: other invoices are to lose as little time as can be
PAST_IT = "61s"
SWEEPS_COME_ROUND = "2h"  # they do every hour, unless the config says otherwise


@dataclass
class Walk:
    """One journey through a node."""

    node: Caller
    sender: str  # of money that a list denies
    before: str | None = None  # the newest event before it began
    invoice_id: str | None = None

    def __post_init__(self) -> None:
        found = self.node.get("/v1/events", limit="1")["data"]
        self.before = found[0]["id"] if found else None

    # What happens.

    def create(self, **terms: object) -> None:
        order = {"amount": "20", "currency": "USD", "name": "paynode trigger", "expires_in": OPEN_FOR}
        made = self.node.post("/v1/invoices", {**order, **terms})
        self.invoice_id = made["id"]

    def pay(self, **terms: object) -> None:
        self.node.post(f"/v1/test/invoices/{self.invoice_id}/pay", terms)

    def let_pass(self, duration: str) -> None:
        self.node.post("/v1/test/time", {"advance": duration})

    def mine(self) -> None:
        self.node.post("/v1/test/mine", {"blocks": SPARE_BLOCKS})

    def undo(self) -> None:
        """Take back the blocks from the payment on."""
        (deposit,) = self.invoice()["deposits"]
        self.node.post("/v1/test/reorg", {"depth": deposit["confirmations"] + SPARE_BLOCKS - 1})

    # What there is.

    @property
    def path(self) -> str:
        return f"/v1/invoices/{self.invoice_id}"

    def invoice(self) -> Json:
        return self.node.get(self.path)

    def until(self, is_so: Callable[[Json], bool], what: str) -> Json:
        """The invoice, once it is so."""
        ends_at = time.monotonic() + WAIT_SECONDS_MAX
        while not is_so(found := self.invoice()):
            if time.monotonic() > ends_at:
                raise _too_late(f"{self.invoice_id} is not {what}")
            time.sleep(POLL_SECONDS)
        return found

    def told(self, kind: EventType) -> Json:
        """The event of that kind about this journey, once the node tells it."""
        ends_at = time.monotonic() + WAIT_SECONDS_MAX
        query = {"type": kind.value, "limit": "100"} | ({} if self.before is None else {"ending_before": self.before})
        while True:
            for event in self.node.get("/v1/events", **query)["data"]:
                if self._is_ours(event["data"]["object"]):
                    found: Json = event
                    return found
            if time.monotonic() > ends_at:
                raise _too_late(f"{kind} has not happened")
            time.sleep(POLL_SECONDS)

    def _is_ours(self, thing: Json) -> bool:
        """Whether a thing is, or came to, this journey's invoice; what belongs to no invoice may be anybody's."""
        if thing.get("object") == "invoice":
            return bool(thing["id"] == self.invoice_id)
        return thing.get("object") != "deposit" or bool(thing["address_invoice"] == self.invoice_id)


def _too_late(what: str) -> Failure:
    text = f"After {WAIT_SECONDS_MAX:.0f} s {what}. Look with `paynode status` whether the sandbox is well."
    return Failure(ExitCode.PROBLEM, text)


def _paid(walk: Walk) -> None:
    walk.create()
    walk.pay()
    walk.until(lambda seen: bool(seen["status"] == "paid"), "paid")


def _seen(walk: Walk) -> None:
    walk.mine()
    walk.create(expires_in="1h")
    walk.pay()
    walk.until(lambda seen: bool(seen["deposits"]), "credited with its payment")


def _created(walk: Walk) -> None:
    walk.create()


def _overpaid(walk: Walk) -> None:
    walk.create()
    walk.pay(percent="150")


def _underpaid(walk: Walk) -> None:
    walk.create()
    walk.pay(percent="50")
    walk.until(lambda seen: bool(seen["payment_state"] == "partial"), "paid in part")
    walk.let_pass(PAST_IT)


def _expired(walk: Walk) -> None:
    walk.create(provision=True)
    walk.let_pass(PAST_IT)


def _paid_late(walk: Walk) -> None:
    walk.create()
    walk.pay(late=True)


def _reversed(walk: Walk) -> None:
    walk.mine()
    _paid(walk)
    walk.undo()


def _cancelled(walk: Walk) -> None:
    walk.create()
    walk.node.post(f"{walk.path}/cancel")


def _deleted(walk: Walk) -> None:
    walk.create()
    walk.node.delete(walk.path)


def _updated(walk: Walk) -> None:
    walk.create()
    walk.node.patch(walk.path, {"name": "paynode trigger, updated"})


def _orphaned(walk: Walk) -> None:
    _seen(walk)
    walk.undo()


def _is_screened(seen: Json) -> bool:
    return any(deposit["screened_at"] or deposit["state"] == "settled" for deposit in seen["deposits"])


def _flagged(walk: Walk) -> None:
    walk.create()
    walk.pay(**{"from": walk.sender})
    seen = walk.until(_is_screened, "screened")
    if seen["deposits"][0]["screening"] != "flagged":
        text = f"Nothing is known against {walk.sender}. Name an address of a list in screening.deny_files with --from."
        raise Failure(ExitCode.PROBLEM, text)


def _released(walk: Walk) -> None:
    _flagged(walk)
    (deposit,) = walk.invoice()["deposits"]
    walk.node.post(f"/v1/deposits/{deposit['id']}/release", {"note": "paynode trigger"})


def _swept(walk: Walk) -> None:
    _paid(walk)
    walk.let_pass(SWEEPS_COME_ROUND)


def _degraded(walk: Walk) -> None:
    walk.node.post("/v1/test/outage", {"on": True})
    try:
        walk.told(EventType.NETWORK_DEGRADED)
    finally:
        walk.node.post("/v1/test/outage", {"on": False})
    walk.told(EventType.NETWORK_RECOVERED)  # else the next journey would find no network that is well


def _pinged(walk: Walk) -> None:
    endpoints = walk.node.get("/v1/webhook_endpoints")["data"]
    if not endpoints:
        raise Failure(ExitCode.PROBLEM, "There is no webhook endpoint to ping. POST /v1/webhook_endpoints makes one.")
    walk.node.post(f"/v1/webhook_endpoints/{endpoints[0]['id']}/ping")


@dataclass(frozen=True, slots=True)
class Journey:
    how: str
    walk: Callable[[Walk], None]


JOURNEYS: Mapping[EventType, Journey] = {
    EventType.INVOICE_CREATED: Journey("an invoice is made", _created),
    EventType.INVOICE_UPDATED: Journey("an invoice gets another name", _updated),
    EventType.INVOICE_DEPOSIT_DETECTED: Journey("an invoice is paid", _seen),
    EventType.INVOICE_CONFIRMING: Journey("an invoice is paid", _seen),
    EventType.INVOICE_DEPOSIT_CONFIRMED: Journey("an invoice is paid", _paid),
    EventType.INVOICE_PAID: Journey("an invoice is paid", _paid),
    EventType.INVOICE_OVERPAID: Journey("half as much again is paid", _overpaid),
    EventType.INVOICE_UNDERPAID: Journey("half is paid, and a minute passes", _underpaid),
    EventType.INVOICE_EXPIRED: Journey("nothing is paid, and a minute passes", _expired),
    EventType.INVOICE_PAID_LATE: Journey("a minute passes, and then it is paid", _paid_late),
    EventType.INVOICE_REVERSED: Journey("an invoice is paid, and the chain takes it back", _reversed),
    EventType.INVOICE_CANCELLED: Journey("an invoice is cancelled", _cancelled),
    EventType.INVOICE_DELETED: Journey("an invoice without an address is deleted", _deleted),
    EventType.DEPOSIT_LATE: Journey("a minute passes, and then it is paid", _paid_late),
    EventType.DEPOSIT_ORPHANED: Journey("the chain takes a payment back at once", _orphaned),
    EventType.SCREENING_FLAGGED: Journey("an address that a list denies pays", _flagged),
    EventType.SCREENING_RELEASED: Journey("it does, and is let go", _released),
    EventType.SWEEP_QUEUED: Journey("an invoice is paid, and two hours pass", _swept),
    EventType.SWEEP_BROADCAST: Journey("an invoice is paid, and two hours pass", _swept),
    EventType.SWEEP_COMPLETED: Journey("an invoice is paid, and two hours pass", _swept),
    EventType.NETWORK_DEGRADED: Journey("every chain is out of reach for a while", _degraded),
    EventType.NETWORK_RECOVERED: Journey("every chain is out of reach for a while", _degraded),
    EventType.PING: Journey("an endpoint is pinged", _pinged),
}
