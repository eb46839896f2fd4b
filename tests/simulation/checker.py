"""The truth of the chain against the books: at every commit that a client can see, and when all has settled.

The truth is read from the chains in memory, past every provider.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chains.evm.fakechain import FakeBlock
from tests.simulation.attribution import Attribution
from tests.simulation.evmnet import Net
from tests.simulation.faults import is_forging
from tests.simulation.node import CONTRACTS, GAS

from paynode.domain.chain import Pair, RowKind, RowSource
from paynode.domain.invoice import judge
from paynode.operations.audit import audit
from paynode.store.chain_rows import ROW, RowRecord

if TYPE_CHECKING:
    from tests.simulation.node import Node

SYMBOLS = {contract: symbol for symbol, contract in CONTRACTS.items()}
PLACED = frozenset({RowSource.LOG, RowSource.TX, RowSource.INTERNAL, RowSource.RECEIPT})


class Violation(Exception):
    """A promise was broken."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Money that came to one of our addresses, in a block that stands."""

    pair: Pair
    units: int  # less what the token kept
    block: FakeBlock
    tx_hash: str
    is_wiped: bool  # its issuer took some of it at once


class Checker:
    """Holds one node against its chains."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._reversible: dict[str, Counter[Pair]] = {name: Counter() for name in node.nets}
        self._shown_forgeries: set[str] = set()
        self._expired: set[str] = set()
        self._attribution = Attribution(node)

    # What may be seen at any moment.

    def check_commit(self) -> None:
        for name, net in self._node.nets.items():
            believed = [view.name for view in net.views if view.was_believed_elsewhere]
            require(not believed, f"{believed} answered from another block, and was believed")
            if is_forging(net):
                self._shown_forgeries.add(name)
            seen = self._node.chains[name].last_seen
            if seen is None:
                continue
            self._node.chains[name].last_seen = None
            if seen.confirmed:
                self._check_confirmed(net, sorted(seen.confirmed))
            if seen.voided:
                self._check_voided(net, sorted(seen.voided))
        wrong = [*self._attribution.wrong(), *self._attribution.left_behind()]
        require(not wrong, "; ".join(wrong))
        self._check_expired()

    def expect_reversals(self, name: str) -> None:
        """What is credited now may leave the chain: until all has settled, it is no double if it comes back."""
        for pair, units in self._credited(name).items():
            self._reversible[name][pair] += units

    def _check_confirmed(self, net: Net, row_ids: Sequence[int]) -> None:
        """I2, I3: each row that is final now is true, and their sum is not more than what came."""
        for row in self._rows(row_ids):
            if row.confirmed_at is None:
                continue  # the network holds
            block = net.chain.block_by_hash.get(row.block_hash)
            require(block is not None, f"final in a block that is gone: {row}")
            depth = net.chain.head.number - row.block_number + 1
            require(depth >= net.depth, f"final after {depth} blocks: {row}")
            require(self._is_true(net, row), f"final, and not on the chain: {row}")
        truth = self._truth(net)
        for pair, units in self._credited(net.name).items():
            allowed = truth[pair] + self._reversible[net.name][pair]
            require(units <= allowed, f"{pair}: {units} credited, {allowed} came")

    def _check_voided(self, net: Net, row_ids: Sequence[int]) -> None:
        """A row goes void only if its own block left the chain (at the provider that was asked)."""
        if any(view.chain is not net.chain for view in net.views):
            return
        for row in self._rows(row_ids):
            stands = row.block_hash in net.chain.block_by_hash
            require(row.voided_at is None or not stands, f"void, and its block stands: {row}")

    def _check_expired(self) -> None:
        """I26: nothing expires that was paid in time, unless a provider forged what the node saw."""
        found = self._node.rows("select id from invoices where status = 'expired'")
        for invoice_id in {row[0] for row in found} - self._expired:
            self._expired.add(invoice_id)
            loaded = self._node.invoice(invoice_id)
            address = next(iter(loaded.addresses.values())).address
            for method, quotes in loaded.quotes.items():
                net = self._node.nets[method.partition("_")[0]]
                if net.name in self._shown_forgeries:
                    continue
                in_time = sum(
                    arrival.units
                    for arrival in arrivals(net, {address})
                    if arrival.pair.method == method
                    and arrival.block.timestamp <= loaded.record.expires_at.timestamp()
                    and arrival.pair not in self._wiped(net)
                    and self._attribution.is_sure(invoice_id, arrival)
                )
                due = quotes[-1].units
                require(in_time < due, f"{invoice_id} expired; {in_time} of {due} came in time")

    # What must be so in the end.

    def differences(self) -> list[str]:
        """What is not settled yet."""
        found: list[str] = []
        for name, net in self._node.nets.items():
            record = self._node.rows("select state, hold, head_hash from networks where network = ?", (name,))[0]
            if record[0] != "ok" or record[1] is not None:
                found.append(f"{name} is {record[0]}, holds for {record[1]}")
            found += [
                f"{each} is disputed: {why}"
                for *each, why in self._node.rows(
                    "select address, method, reason from disputes where network = ?", (name,)
                )
            ]
            credited, truth, wiped = self._credited(name), self._truth(net), self._wiped(net)
            in_time = self._truth(net, {row[0]: row[1] // 1000 for row in self._watches(name)})
            found += [
                f"{pair}: {truth[pair]} came, {in_time[pair]} of it while it was watched, {credited[pair]} are credited"
                for pair in credited.keys() | truth.keys()
                if pair not in wiped and not in_time[pair] <= credited[pair] <= truth[pair]
            ]
            found += [f"{pair}: {held} on chain, {booked} in books" for pair, held, booked in self._unequal(name, net)]
        return found

    def check_settled(self) -> None:
        """I1, I17, I18: all is credited in blocks that stand, the ledger balances, events have no gap."""
        node = self._node
        mismatches = node.database.read(audit, node.catalogue)
        require(not mismatches, "; ".join(map(str, mismatches)))
        gaps = node.rows(
            "select subject, count(*), min(sequence), max(sequence) from events group by subject "
            "having min(sequence) <> 1 or max(sequence) <> count(*)"
        )
        require(not gaps, f"events with gaps: {gaps}")
        for (invoice_id,) in node.rows("select id from invoices"):
            loaded = node.invoice(invoice_id)
            require(loaded.record.set_aside is None, f"{invoice_id} was set aside: {loaded.record.set_aside}")
            status = judge(loaded.machine, loaded.payments)
            require(status is loaded.record.status, f"{invoice_id} is {loaded.record.status}, its facts say {status}")
        for name, net in node.nets.items():
            self._check_rows(name, net)
            missed = list(self._attribution.missed(name, list(arrivals(net, self._addresses()))))
            require(not missed, "; ".join(missed))
            self._reversible[name].clear()
        self._shown_forgeries.clear()

    def _check_rows(self, name: str, net: Net) -> None:
        found = node_rows(self._node, "network = ? and voided_at is null and confirmed_at is not null", (name,))
        for row in found:
            require(row.block_hash in net.chain.block_by_hash, f"final in a block that is gone: {row}")
            require(self._is_true(net, row), f"final, and not on the chain: {row}")
            if row.kind is RowKind.IN and row.source in PLACED:
                self._check_lateness(row)

    def _check_lateness(self, row: RowRecord) -> None:
        """On time is a chain fact."""
        found = self._node.rows(
            "select d.is_late, d.replaces, i.expires_at, i.cancelled_at from deposits d join invoices i "
            "on i.id = d.invoice_id where d.row_id = ?",
            (row.id,),
        )
        for is_late, replaces, expires_at, cancelled_at in found:
            at = int(row.block_at.timestamp() * 1000)
            is_over = at > expires_at or (cancelled_at is not None and at > cancelled_at)
            require(bool(is_late) == is_over or replaces is not None, f"late: {is_late}, and over: {is_over}: {row}")

    # Truth and books.

    def everything(self) -> set[tuple[object, ...]]:
        """All that looks may change."""
        tables = ("chain_rows", "deposits", "invoices", "ledger_entries", "events", "disputes")
        return {(table, *row) for table in tables for row in self._node.rows(f"select * from {table}")}

    def _rows(self, row_ids: Sequence[int]) -> list[RowRecord]:
        marks = ", ".join("?" * len(row_ids))
        return node_rows(self._node, f"id in ({marks})", tuple(row_ids))

    def _credited(self, name: str) -> Counter[Pair]:
        found: Counter[Pair] = Counter()
        sql = "select address, method, units from deposits where network = ? and stage in ('confirmed', 'settled')"
        for address, method, units in self._node.rows(sql, (name,)):
            found[Pair(address, method)] += int(units)
        return found

    def _truth(self, net: Net, until: Mapping[str, int] | None = None) -> Counter[Pair]:
        """What came to each pair; with `until` (by address), what was there by then."""
        found: Counter[Pair] = Counter()
        for arrival in arrivals(net, self._addresses()):
            if until is None or arrival.block.timestamp <= until[arrival.pair.address]:
                found[arrival.pair] += arrival.units
        return found

    def _watches(self, name: str) -> list[tuple[str, int, int]]:
        """Each invoice's address with the end of its watch, and whether it was closed since."""
        sql = "select address, watch_until, is_closed from watches where network = ? and watch_until is not null"
        return [(address, until, is_closed) for address, until, is_closed in self._node.rows(sql, (name,))]

    def _addresses(self) -> set[str]:
        return {row[0] for row in self._node.rows("select address from addresses")}

    def _wiped(self, net: Net) -> set[Pair]:
        """Pairs whose issuer took something: what was credited of it is a matter of moments."""
        return {
            Pair(holder, f"{net.name}_iss")
            for block in net.chain.busy_blocks(-1, net.chain.head.number)
            for payment in block.payments
            if payment.succeeded
            for contract, holder, _ in payment.wiped
            if contract == CONTRACTS["iss"]
        }

    def _unequal(self, name: str, net: Net) -> Iterator[tuple[Pair, int, int]]:
        booked: Counter[Pair] = Counter()
        for row in node_rows(self._node, "network = ? and voided_at is null", (name,)):
            booked[Pair(row.address, row.method)] += row.as_row().effect
        watched = {address for address, _, is_closed in self._watches(name) if not is_closed}
        for address in sorted({GAS, *watched}):
            for asset in self._node.catalogue.networks[name].assets:
                held = net.units(address, asset)
                pair = Pair(address, asset.method)
                if held != booked[pair]:
                    yield pair, held, booked[pair]

    def _is_true(self, net: Net, row: RowRecord) -> bool:
        """Whether exactly this happened in its block."""
        if row.source in {RowSource.UNPLACED, RowSource.DRIFT}:
            return True  # only their sum can be held against anything
        payments = net.chain.block_by_hash[row.block_hash].payments
        if row.source is RowSource.INTERNAL:
            inside = [p.inside for p in payments if p.succeeded and row.tx_hash in {"", p.hash}]
            return row.units == sum(units for moves in inside for to, units in moves if to == row.address)
        payment = next((each for each in payments if each.hash == row.tx_hash), None)
        if payment is None:
            return False
        is_native = row.method.endswith("_eth")
        if is_native and row.kind is RowKind.OUT:
            spent = payment.value if payment.succeeded else 0
            return payment.sender == row.address and row.units == spent + payment.fee
        if is_native:
            return payment.succeeded and (payment.to, payment.value) == (row.address, row.units)
        index = row.log_index
        for each in payments:
            if each is payment:
                break
            index -= len(each.moved)
        contract, sender, to, units = payment.moved[index]
        return (SYMBOLS[contract], units) == (row.method.partition("_")[2], row.units) and row.address == (
            sender if row.kind is RowKind.OUT else to
        )


def node_rows(node: "Node", where: str, values: tuple[object, ...]) -> list[RowRecord]:
    return [ROW.decode(row) for row in node.rows(f"select {ROW.sql} from chain_rows where {where}", values)]


def arrivals(net: Net, addresses: set[str]) -> Iterator[Arrival]:
    """What strangers sent to our addresses, in blocks that stand."""
    for block in net.chain.busy_blocks(-1, net.chain.head.number):
        for payment in block.payments:
            if not payment.succeeded or payment.fee:
                continue
            for to, units in ((payment.to, payment.value), *payment.inside):
                if to in addresses and units:
                    yield Arrival(Pair(to, f"{net.name}_eth"), units, block, payment.hash, False)
            wiped = Counter({(c, h): 0 for c, h, _ in payment.wiped})
            for contract, holder, units in payment.wiped:
                wiped[contract, holder] += units
            for contract, _, to, units in payment.moved:
                if to in addresses and contract in SYMBOLS:
                    kept = min(wiped[contract, to], units)
                    wiped[contract, to] -= kept
                    pair = Pair(to, f"{net.name}_{SYMBOLS[contract]}")
                    yield Arrival(pair, units - kept, block, payment.hash, bool(kept))


def require(is_so: bool, what: str) -> None:
    if not is_so:
        raise Violation(what)
