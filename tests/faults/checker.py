"""The checker: once all is quiet, what the chain did held against all that the node says, does and tells.

The one rule: the truth is read from the chain itself, past every proxy, and with no code of the node's.

    I1, I2, I3   every canonical transfer is one deposit, of the same block, and there is no other
    I12, I13     what left our addresses left once, and to the treasury
    I17          the books balance, and match the chain
    I18, I19     every state has its event, every event its webhook, and no sequence a gap
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import trio
from eth_utils import to_checksum_address
from tests.lab.books import assert_books_match_chain
from tests.lab.client import Deployed, Lab, TokenTransfer
from tests.lab.node import TREASURY, WAIT_SECONDS, Node, gas_address

Json = dict[str, Any]
Tokens = Mapping[str, Deployed | None]  # by method; None: native coins
WATCH_SECONDS = 0.05
OVER = ("completed", "partially_completed", "failed", "cancelled")


async def assert_all_is_well(shop: Node, lab: Lab, tokens: Tokens, *, quiet_seconds: float = WAIT_SECONDS) -> None:
    """Wait until nothing is under way, then check everything."""
    await until_quiet(shop, quiet_seconds)
    invoices, deposits = await shop.all_of("invoices"), await shop.all_of("deposits")
    addresses = sorted({method["address"] for invoice in invoices for method in invoice["methods"]})
    money = await Money.read(lab, addresses, tokens)
    assert_deposits_are_true(money, deposits)
    assert_invoices_are_true(invoices)
    assert_one_effect(money, await shop.all_of("sweeps"))
    events = await shop.all_of("events")
    await _until_told(shop, events)
    assert_told_truly(events, shop.events(), invoices)
    await assert_books_match_chain(shop, lab, tokens)


async def until_quiet(shop: Node, seconds: float = WAIT_SECONDS) -> None:
    """Nothing deepens, is swept or waits for it."""
    waiting: list[str] = []

    async def is_quiet() -> bool:
        deposits, sweeps = await shop.all_of("deposits"), await shop.all_of("sweeps")
        waiting[:] = [
            f"{one['id']} {one['method']} {one['state']}: {one['sweep_state']}, {one['sweep_wait']}"
            for one in deposits
            if one["state"] != "orphaned" and one["sweep_state"] != "swept"
        ]
        return not waiting and all(one["state"] in OVER for one in sweeps)

    try:
        await shop.until(is_quiet, "everything is swept", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\nnot swept: {waiting}") from None


@asynccontextmanager
async def never_more_than(shop: Node, paid_by_invoice: Mapping[str, int]) -> AsyncIterator[None]:
    """Ask the API all the while: at no instant does it show more units than were ever sent to an invoice (I2)."""

    async def ask() -> None:
        while True:
            began = trio.current_time()
            try:
                deposits = await shop.all_of("deposits")
            except httpx.TransportError:
                continue
            shown: Counter[str] = Counter()
            for one in deposits:
                if one["state"] != "orphaned" and one["invoice"] is not None:
                    shown[one["invoice"]] += int(one["amount_units"])
            for invoice_id, units in shown.items():
                assert units <= paid_by_invoice[invoice_id], f"{invoice_id}: {units} shown; {deposits}"
            await trio.sleep(max(WATCH_SECONDS, 4 * (trio.current_time() - began)))  # the node has more to do

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        yield
        nursery.cancel_scope.cancel()


class Money:
    """All that moved on the canonical chain, as far as it concerns our addresses."""

    def __init__(self) -> None:
        self.arrived: dict[str, Counter[Any]] = defaultdict(Counter)  # by method: units by where they came
        self.transfers_out: list[TokenTransfer] = []
        self.sent: dict[str, list[Json]] = defaultdict(list)  # by sender of ours: transactions that succeeded

    @classmethod
    async def read(cls, lab: Lab, addresses: Sequence[str], tokens: Tokens) -> "Money":
        """Read it all, from the first block on."""
        money, ours, station = cls(), set(addresses), gas_address()
        contracts = {token.address: method for method, token in tokens.items() if token is not None}
        truth = await lab.truth(addresses, [token for token in tokens.values() if token is not None])
        for one in truth.transfers:
            if one.units == 0:  # anybody may log one, from and to any address
                continue
            if one.recipient in ours:
                place = (one.recipient, one.block_hash, one.tx_hash, one.log_index)
                money.arrived[contracts[one.token]][place] += one.units
            else:
                money.transfers_out.append(one)
        head = int((await lab.block())["number"], 16)
        blocks = await lab.rpc_many("eth_getBlockByNumber", [(hex(n), True) for n in range(head + 1)])
        txs = [tx for block in blocks for tx in block["transactions"] if _sender(tx) in {*ours, station}]
        receipts = await lab.rpc_many("eth_getTransactionReceipt", [(tx["hash"],) for tx in txs])
        native = {method for method, token in tokens.items() if token is None}
        # What a balance rose by, with what we took from it ourselves added, and what we lent it taken off.
        steps: Counter[tuple[str, str]] = Counter({(s.address, s.block_hash): s.units for s in truth.native_steps})
        for tx, receipt in zip(txs, receipts, strict=True):
            has_worked = receipt["status"] == "0x1"
            value = int(tx["value"], 16) if has_worked else 0
            if _sender(tx) in ours:
                fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
                steps[_sender(tx), tx["blockHash"]] += value + fee
            elif tx["to"] is not None:
                steps[to_checksum_address(tx["to"]), tx["blockHash"]] -= value
            if has_worked:
                money.sent[_sender(tx)].append(tx)
        for method in native:
            money.arrived[method].update({place: units for place, units in steps.items() if units and place[0] in ours})
        return money


def _sender(tx: Json) -> str:
    return str(to_checksum_address(tx["from"]))


def assert_deposits_are_true(money: Money, deposits: Sequence[Json]) -> None:
    """I1, I2, I3."""
    booked: dict[str, Counter[Any]] = defaultdict(Counter)
    for one in deposits:
        if one["state"] == "orphaned":
            continue
        is_log = one["log_index"] is not None
        place = (one["address"], one["block_hash"], *((one["tx_hash"], one["log_index"]) if is_log else ()))
        booked[one["method"]][place] += int(one["amount_units"])
    for method in money.arrived.keys() | booked.keys():
        true, ours = money.arrived[method], booked[method]
        missed = {place: units for place, units in true.items() if ours[place] != units}
        invented = {place: units for place, units in ours.items() if true[place] != units}
        assert not missed, f"{method}: on the chain {missed}; in the books {invented}"
        assert not invented, f"{method}: in the books only: {invented}"


def assert_invoices_are_true(invoices: Sequence[Json]) -> None:
    """What an invoice says of its payment follows from its deposits."""
    for invoice in invoices:
        standing = [one for one in invoice["deposits"] if one["state"] != "orphaned"]
        worth = sum((Decimal(one["value"]) for one in standing), Decimal(0))
        assert Decimal(invoice["amount_paid"]) == worth, invoice
        if worth >= Decimal(invoice["amount"]):
            assert invoice["status"] == ("expired" if invoice["late"] else "paid"), invoice


def assert_one_effect(money: Money, sweeps: Sequence[Json]) -> None:
    """I12 and I13: each item of a sweep is one transaction that worked, and nothing else left."""
    items = [item for sweep in sweeps for item in sweep["items"] if item["state"] == "completed"]
    assert all(sweep["treasury"] == TREASURY for sweep in sweeps)
    claimed = Counter(item["tx_hash"] for item in items)
    sent = Counter(tx["hash"] for sender, txs in money.sent.items() if sender != gas_address() for tx in txs)
    assert claimed == sent, f"swept {claimed - sent} that never was; {sent - claimed} left unknown to any sweep"
    for one in money.transfers_out:
        assert one.recipient == TREASURY, f"tokens left to {one.recipient}"
    for sender, txs in money.sent.items():
        for tx in txs:
            if sender != gas_address() and int(tx["value"], 16):
                assert to_checksum_address(tx["to"]) == TREASURY, f"coins left to {tx['to']}"
    lent = Counter(to_checksum_address(tx["to"]) for tx in money.sent[gas_address()])
    swept = Counter(item["address"] for item in items)
    assert not lent - swept, f"more loans of gas than transfers they could pay: {lent - swept}"


async def _until_told(shop: Node, events: Sequence[Json]) -> None:
    """I19: every event since the endpoint is there came as a webhook."""
    (endpoint,) = (await shop.get("/v1/webhook_endpoints"))["data"]
    due = {one["id"] for one in events if one["created_at"] > endpoint["created_at"]}

    async def is_told() -> bool:
        return due <= {one["id"] for one in shop.events()}

    await shop.until(is_told, "every event has its webhook")


def assert_told_truly(events: Sequence[Json], told: Sequence[Json], invoices: Sequence[Json]) -> None:
    """I18: the events tell every state, in sequences without a gap, and webhooks say nothing else."""
    body_by_id = {one["id"]: {k: v for k, v in one.items() if k not in ("object", "subject")} for one in events}
    for hook in told:
        later = body_by_id.get(hook["id"])
        assert later is None or later == hook, "a webhook is what the API shows"
    by_subject: dict[str, list[Json]] = defaultdict(list)
    for one in events:
        by_subject[one["subject"]].append(one)
    for subject, story in by_subject.items():
        story.sort(key=lambda one: one["sequence"])
        sequences = [one["sequence"] for one in story]
        assert sequences == list(range(1, len(story) + 1)), f"{subject}: {sequences}"
    for invoice in invoices:
        assert by_subject[invoice["id"]], f"nothing is told of {invoice['id']}"
        _assert_story(invoice, by_subject[invoice["id"]])


def _assert_story(invoice: Json, story: Sequence[Json]) -> None:
    """The events of an invoice lead from its making to what it is now, one change after the other."""
    told = "; ".join(f"{one['type']} {one['data']['previous']}" for one in story)
    before: Json = {}
    for event in story:
        now = event["data"]["object"]
        if now["object"] != "invoice":  # it is told of a deposit, in the invoice's sequence
            continue
        for name in ("status", "payment_state"):
            if before and now[name] != before[name]:  # of one change's events, the first one leads there
                was = event["data"]["previous"].get(name)
                assert was == before[name], f"{invoice['id']}: {name} was {before[name]}, not {was}: {told}"
        if event["type"] == "invoice.paid":
            assert Decimal(now["amount_confirmed"]) >= Decimal(now["amount"]), f"paid before it was final: {now}"
            final = [one for one in now["deposits"] if one["state"] not in ("orphaned", "detected", "confirming")]
            assert all(one["confirmations"] >= one["confirmations_required"] for one in final), now
        before = now
    for name in ("status", "payment_state"):
        assert before[name] == invoice[name], f"{invoice['id']}: {name} is {invoice[name]}: {told}"
