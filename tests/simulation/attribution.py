"""Whose money it is: what each payer meant, against what the node says of it (I9, A14).

counts for whom it was meant   always right
counts for another             only where its payer had nothing to pay any more: all that the invoice asks for had come,
                               or it was no longer watched, and the address was the next one's by then
counts for nobody              only where something tells against the one it was meant for: a coin that it does not
                               take, a change of holders near by, or an earlier holder who may be paid late
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.chains.evm.fakechain import FakeBlock, Payment
from tests.simulation.evmnet import Net
from tests.simulation.faults import is_forging
from tests.simulation.node import CONTRACTS

from paynode.domain.addresses import SIGHT_MAX
from paynode.domain.chain import INFERRED, RowSource
from paynode.operations.loading import LoadedInvoice
from paynode.store import chain
from paynode.store.deposits import PLACED_COLUMNS, PLACED_SOURCE, PlacedDeposit, placed_of_row

if TYPE_CHECKING:
    from tests.simulation.checker import Arrival
    from tests.simulation.node import Node

DUST_MAX = 10**9  # of coins; what is left of a loan for a sweep's fee is less, too
SIGHT_SECONDS = SIGHT_MAX.total_seconds()


@dataclass(frozen=True, slots=True)
class Turn:
    """One invoice's time with an address."""

    number: int
    invoice: LoadedInvoice
    issued_at: datetime
    was_reversed: bool

    def has_paid(self, at: float) -> bool:
        """Whether it was paid by then, for good."""
        paid_at = self.invoice.record.paid_at
        return paid_at is not None and paid_at.timestamp() <= at and not self.was_reversed

    def is_watched(self, at: float) -> bool:
        until = self.invoice.record.monitor_until
        return until is None or at <= until.timestamp()

    def is_rested(self, at: float) -> bool:
        record = self.invoice.record
        return at >= record.expires_at.timestamp() + (record.rest_seconds or 0)


class Attribution:
    """Holds each deposit of one node against what its payer meant."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._newest_row = 0
        self._begun: set[Any] = set()  # turns after an address's first, on each network
        self._done: set[str] = set()  # invoices that got all they ask for, in time or not, at the commit before

    def wrong(self) -> Iterator[str]:
        """What was given to somebody for whom it was not meant, since this was last asked."""
        sql = "select id from invoices where status = 'paid' or payment_state in ('exact', 'over')"
        done = {invoice_id for (invoice_id,) in self._node.rows(sql)}
        for placed in self._deposits("r.id > ?", self._newest_row):
            self._newest_row = placed.row.id
            invoice_id, replaced = placed.deposit.invoice_id, placed.deposit.replaces
            if invoice_id is None or (replaced is not None and self._invoice_of(replaced) is not None):
                continue  # what counted already counts as before
            for at, meant in self._meanings(placed):
                if invoice_id not in meant and not self._is_next(invoice_id, meant, at, self._done | done):
                    yield f"meant for {sorted(meant)}, and counts for {invoice_id}: {placed.row}"
        self._done = done

    def left_behind(self) -> Iterator[str]:
        """What lay on a watched address when it was passed on, and was there when all were looked at before."""
        found: set[Any] = set(self._node.rows("select address, turn, network, number from holding_starts"))
        for address, turn, name, number in sorted(found - self._begun):
            net, last = self._node.nets[name], self._turns(address)[turn - 1]
            looked_at = [each for each in self._node.database.read(chain.wide_numbers, name) if each <= number]
            if is_forging(net) or not looked_at or number > net.chain.head.number:
                continue
            blocks = net.chain.blocks[max(looked_at)], net.chain.blocks[number]
            if not last.is_watched(blocks[0].timestamp):
                continue
            held = [min(each.tokens.get((token, address), 0) for each in blocks) for token in CONTRACTS.values()]
            coins = min(each.native.get(address, 0) for each in blocks)
            if any(held) or coins > DUST_MAX:
                yield f"{address} was passed on with {held} and {coins} on {name}"
        self._begun = found

    def missed(self, name: str, arrivals: Sequence["Arrival"]) -> Iterator[str]:
        """What surely was for an invoice, and does not count for it."""
        found: dict[tuple[str, str, str], set[str | None]] = {}
        for placed in self._deposits("d.network = ? and d.stage <> 'orphaned'", name):
            key = (placed.row.tx_hash, placed.row.address, placed.row.method)
            found.setdefault(key, set()).add(placed.deposit.invoice_id)
        for arrival in arrivals:
            for invoice_id in self._node.nets[name].meant.get((arrival.tx_hash, arrival.pair.address), ()):
                counts_for = found.get((arrival.tx_hash, *arrival.pair), {invoice_id})
                if counts_for != {invoice_id} and self.is_sure(invoice_id, arrival):
                    yield f"surely for {invoice_id}, and counts for {counts_for}: {arrival}"

    def is_sure(self, invoice_id: str, arrival: "Arrival") -> bool:
        """Whether nothing tells against an arrival's being for the invoice that its payer meant."""
        address, method = arrival.pair
        turns, at = self._turns(address), arrival.block.timestamp
        net = self._node.nets[method.partition("_")[0]]
        meant = net.meant.get((arrival.tx_hash, address), {turns[0].invoice.record.id})
        turn = next(each for each in turns if each.invoice.record.id == invoice_id)
        if meant != {invoice_id} or turn.invoice.entry(method) is None:
            return False
        if turn is not turns[-1] and at >= turns[turn.number + 1].issued_at.timestamp() - SIGHT_SECONDS:
            return False
        rivals = [each for each in turns[: turn.number] if each.is_watched(at) and not each.has_paid(at)]
        return not rivals or self._is_exact(turn, arrival, rivals)

    def _is_exact(self, turn: Turn, arrival: "Arrival", rivals: Sequence[Turn]) -> bool:
        """Whether it is just what the invoice asks for and nobody before it does, and it owed all of it till then."""
        method, invoice = arrival.pair.method, turn.invoice
        due = {quote.units for quote in invoice.quotes[method]}
        others = {quote.units for each in rivals for quote in each.invoice.quotes.get(method, ())}
        payments = [
            key
            for net in self._node.nets.values()
            for key, meant in net.meant.items()
            if invoice.record.id in meant and key[1] == arrival.pair.address
        ]
        return due == {arrival.units} and due.isdisjoint(others) and len(payments) == 1

    def _is_next(self, invoice_id: str, meant: set[str], at: float, done: set[str]) -> bool:
        """Whether the invoice came after all of these on the address, when they had nothing to ask for any more."""
        turns = {each.invoice.record.id: each for each in self._turns(self._address_of(invoice_id))}
        if not turns.keys() >= meant:
            return False
        before = [turns[each] for each in meant]
        return all(
            each.number < turns[invoice_id].number
            and each.is_rested(at)
            and (each.invoice.record.id in done or not each.is_watched(at))
            for each in before
        )

    def _meanings(self, placed: PlacedDeposit) -> Iterator[tuple[float, set[str]]]:
        """The time of each payment that a deposit may stand for, and whom its payer meant."""
        net, row = self._node.nets[placed.deposit.network], placed.row
        for block, payment in self._payments(net, placed):
            meant = net.meant.get((payment.hash, row.address))
            if meant is not None:
                yield block.timestamp, meant

    def _payments(self, net: Net, placed: PlacedDeposit) -> Iterator[tuple[FakeBlock, Payment]]:
        row = placed.row
        if row.source is RowSource.UNPLACED:
            earliest = 0.0 if row.earliest_at is None else row.earliest_at.timestamp()
            blocks = [
                each
                for each in net.chain.busy_blocks(-1, net.chain.head.number)
                if earliest < each.timestamp <= row.block_at.timestamp()
            ]
        else:
            chains = [net.chain, *(view.chain for view in net.views)]
            found = (each.block_by_hash.get(row.block_hash) for each in chains)
            blocks = [each for each in found if each is not None][:1]
        for block in blocks:
            for payment in block.payments:
                is_native = payment.succeeded and row.address in {payment.to, *(to for to, _ in payment.inside)}
                if payment.hash == row.tx_hash or (row.source in INFERRED and is_native):
                    yield block, payment

    def _deposits(self, where: str, value: object) -> list[PlacedDeposit]:
        sql = f"select {PLACED_COLUMNS} from {PLACED_SOURCE} where {where} order by r.id"
        return [placed_of_row(row) for row in self._node.rows(sql, (value,))]

    def _turns(self, address: str) -> list[Turn]:
        found = self._node.rows("select invoice_id from holdings where address = ? order by turn", (address,))
        return [self._turn(number, invoice_id) for number, (invoice_id,) in enumerate(found)]

    def _turn(self, number: int, invoice_id: str) -> Turn:
        sql = "select 1 from events where subject = ? and type = 'invoice.reversed'"
        invoice = self._node.invoice(invoice_id)
        issued_at = next(iter(invoice.addresses.values())).issued_at
        return Turn(number, invoice, issued_at, bool(self._node.rows(sql, (invoice_id,))))

    def _address_of(self, invoice_id: str) -> str:
        return str(self._node.rows("select address from holdings where invoice_id = ?", (invoice_id,))[0][0])

    def _invoice_of(self, deposit_id: str) -> str | None:
        found: str | None = self._node.rows("select invoice_id from deposits where id = ?", (deposit_id,))[0][0]
        return found
