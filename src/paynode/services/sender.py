"""The sender: the only service that signs. Sign, commit, broadcast, in this order, always (I11).

One pass is sequential, which makes it the one lane that hands out the network's nonces.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog
import trio

from paynode.chains.base import Chain, Outgoing, Refused, TxStatus, Unavailable, WouldRevert
from paynode.domain.outgoing import BumpPolicy, ForeignNonce, PlannedTx, Purpose, SignedTx, State, is_stuck, next_nonce
from paynode.domain.sweep import TOP_UP_MARGIN
from paynode.operations import outflows
from paynode.operations import outgoing as operations
from paynode.operations.catalogue import Catalogue
from paynode.operations.outgoing import Clearance, Work
from paynode.store import bells, chain_rows, deposits, outgoing
from paynode.store.database import Database
from paynode.store.outgoing import OutgoingRecord, VersionRecord

PASS_SECONDS = 5.0
FAILURES_MAX = 3  # of one round; a network that is away must not cost a deadline for each transaction
RESEND_AFTER = timedelta(seconds=15)  # bytes that no provider knows are handed out again

log = structlog.get_logger()

PrivateKey = Callable[[str], bytes]  # derivation path -> key


async def run(
    database: Database,
    catalogue: Catalogue,
    network: Chain,
    private_key: PrivateKey,
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    passing: Callable[[str], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Carry out what was planned on one network, for ever. `passing` is told of the points around each send."""
    lane = Lane(database, catalogue, network, private_key, clock, passing)
    task_status.started()
    while True:
        beat()
        await lane.one_pass()
        await database.bells.wait(bells.OUTGOING, seconds=PASS_SECONDS)


class Lane:
    """Everything one network's outgoing transactions need."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        network: Chain,
        private_key: PrivateKey,
        clock: Callable[[], datetime],
        passing: Callable[[str], None],
        bumps: BumpPolicy | None = None,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._network = network
        self._private_key = private_key
        self._clock = clock
        self._passing = passing
        self._bumps = bumps or BumpPolicy()
        self._troubled: frozenset[str] = frozenset()  # by item or transaction: what failed when it was last tried

    async def one_pass(self) -> None:
        """Plan what the sweeps need next, sign what is planned, look after what is out."""
        name = self._network.network
        works = self._database.read(operations.items_to_move, self._catalogue, name)
        stuck = await self._each({f"item {work.item.id}": partial(self._plan, work) for work in works})
        records = self._database.read(outgoing.under_way, name)
        self._troubled = stuck | await self._each({record.id: partial(self._move, record) for record in records})

    async def _each(self, steps: Mapping[str, Callable[[], Awaitable[None]]]) -> frozenset[str]:
        """Take every step; returns those that did not work.

        One that the network keeps failing holds up no other: what failed before comes last, and a few failures end
        the round, since it may be the network itself.
        """
        troubled = set(self._troubled & steps.keys())
        failed_count = 0
        for name in sorted(steps, key=troubled.__contains__):
            try:
                await steps[name]()
            except (Unavailable, Refused, WouldRevert) as trouble:
                log.info("sending_waits", network=self._network.network, what=name, reason=str(trouble))
                troubled.add(name)
                failed_count += 1
                if failed_count == FAILURES_MAX:
                    break
            else:
                troubled.discard(name)
        return frozenset(troubled)

    async def _move(self, record: OutgoingRecord) -> None:
        if record.state is State.PLANNED:
            await self._send(record)
        elif record.receipt_hash is None:
            await self._look_after(record)

    async def _plan(self, work: Work) -> None:
        """Plan the item's transfer, or first the coins for its fee: nothing is lent where it cannot leave."""
        if not work.is_native:
            asset = self._catalogue.assets[work.item.method]
            native = self._catalogue.native(work.item.network)
            fees = await self._network.fees(asset, work.item.address, work.sweep.treasury)
            there = await self._network.balance_units(native, work.item.address)
            held = self._database.read(deposits.held_units, work.item.network, work.item.address, native.method)
            booked = self._database.read(chain_rows.booked_units, work.item.network, work.item.address, native.method)
            if there < booked:  # from before a loan that the scanner has seen: lending again would be for nothing
                raise Unavailable(f"{there} units of {native.method} on {work.item.address}, and {booked} were seen")
            there = max(0, there - held)  # what screening keeps back pays no fee
            if there < fees.transfer_cost:
                wanted = Outgoing(work.item.address, work.sweep.treasury, asset, work.item.units, empties_sender=False)
                try:
                    await self._network.dry_run(wanted)
                except WouldRevert as revert:
                    reason = f"would_revert: {revert}"
                    self._database.write(operations.fail_item, self._catalogue, work, reason, self._clock())
                    log.warning("item_failed", network=work.item.network, item=work.item.id, reason=reason)
                    return
                lent = fees.transfer_cost * TOP_UP_MARGIN - there
                self._database.write(operations.plan_top_up, self._catalogue, work, lent, self._clock())
                return
        self._database.write(operations.plan_transfer, work, self._clock())

    async def _send(self, record: OutgoingRecord) -> None:
        """Sign a plan and hand it out, if it may go now."""
        match self._database.read(operations.clearance, self._catalogue, record, self._clock()):
            case Clearance.WAIT:
                return
            case Clearance.WRONG_RECIPIENT:
                self._fail(record, "treasury_changed" if record.purpose is Purpose.SWEEP else "recipient_changed")
                return
            case Clearance.MONEY_GONE:
                self._fail(record, "deposit_reversed")
                return
            case Clearance.HELD:
                self._fail(record, "held")
                return
            case Clearance.TAKEN:
                self._fail(record, "money_taken")
                return
            case Clearance.GO:
                pass
        try:
            planned = await self._prepare(record)
        except ForeignNonce as foreign:
            reason = _reason(foreign)
            self._database.write(outflows.pause, self._catalogue, record.network, "", reason, self._clock())
        except WouldRevert as revert:
            self._fail(record, f"would_revert: {revert}")
        except Refused as refusal:
            self._wait(record, f"refused: {refusal}")
        else:
            await self._sign_and_broadcast(record, planned)

    async def _prepare(self, record: OutgoingRecord) -> PlannedTx:
        """The transaction to sign.

        Raises:
            ForeignNonce, WouldRevert: it must not be signed.
            Refused: the sender cannot pay for it now.
        """
        asset = self._catalogue.assets[record.method]
        units = self._database.read(operations.units_to_send, record)
        own_next = self._database.read(outgoing.next_own_nonce, record.network, record.sender)
        pending = await self._network.pending_nonce(record.sender)
        try:
            nonce = next_nonce(record.sender, own_next=own_next, chain_pending=pending)
        except ForeignNonce as foreign:
            if not self._database.read(outgoing.is_acknowledged, record.network, _reason(foreign)):
                raise
            nonce = foreign.chain  # an operator knows of those transactions; any further one pauses us again
        wanted = Outgoing(record.sender, record.recipient, asset, units, record.empties_sender)
        planned = await self._network.prepare(wanted, nonce)
        native = self._catalogue.native(record.network)
        there = await self._network.balance_units(native, record.sender)
        free = there - self._database.read(operations.committed_units, self._catalogue, record.network, record.sender)
        needed = planned.fee_limit_units + (planned.value_units if asset == native else 0)
        if free < needed:
            raise Refused(f"{record.sender} has {free} units of {native.method} to spare, and {needed} are needed")
        return planned

    async def _sign_and_broadcast(self, record: OutgoingRecord, planned: PlannedTx) -> None:
        signed = self._network.sign(planned, self._private_key(record.key_path))
        version = self._database.write(
            operations.record_signed, self._catalogue, record.id, planned, signed, self._clock()
        )
        if version is not None:
            await self._broadcast(version)

    async def _broadcast(self, version: VersionRecord) -> None:
        self._passing("before broadcast")
        try:
            await self._network.broadcast(SignedTx(version.raw, version.tx_hash))
        except Refused as refusal:  # it stays signed: it is offered again, and bumped once it counts as stuck
            log.warning("bytes_refused", network=self._network.network, tx=version.tx_hash, reason=str(refusal))
            return
        self._passing("after broadcast")
        self._database.write(operations.record_broadcast, version.outgoing_id, version.version, self._clock())

    async def _look_after(self, record: OutgoingRecord) -> None:
        """Bring bytes that are lost back, and raise the fee of what is stuck; never sign for another nonce (C2)."""
        versions = self._database.read(outgoing.versions, record.id)
        newest, now = versions[-1], self._clock()
        statuses = [await self._network.status(version.tx_hash) for version in versions]
        if TxStatus.MINED in statuses:
            return
        if set(statuses) == {TxStatus.UNKNOWN} and await self._network.final_nonce(record.sender) > _nonce(record):
            self._database.write(operations.record_replaced, self._catalogue, record.id, now)
            log.error("nonce_taken", network=record.network, id=record.id)
            return
        has_waited = is_stuck(
            self._bumps, last_version_at=newest.signed_at, version_count=len(versions), is_mined=False, now=now
        )
        if has_waited and self._database.read(operations.clearance, self._catalogue, record, now) is Clearance.GO:
            planned = PlannedTx(record.sender, _nonce(record), newest.body, newest.value_units, newest.fee_limit)
            try:
                raised = await self._network.bump(planned)
            except (Refused, WouldRevert) as refusal:
                log.warning("fee_not_raised", network=record.network, tx=newest.tx_hash, reason=str(refusal))
            else:
                await self._sign_and_broadcast(record, raised)
                return
        if statuses[-1] is TxStatus.UNKNOWN and (newest.sent_at is None or now - newest.sent_at >= RESEND_AFTER):
            await self._broadcast(newest)

    def _wait(self, record: OutgoingRecord, reason: str) -> None:
        self._database.write(operations.note_wait, record.id, reason)
        log.warning("outgoing_waits", network=record.network, id=record.id, reason=reason)

    def _fail(self, record: OutgoingRecord, reason: str) -> None:
        self._database.write(operations.record_failure, self._catalogue, record.id, reason, self._clock())
        log.warning("outgoing_failed", network=record.network, id=record.id, reason=reason)


def _reason(foreign: ForeignNonce) -> str:
    return f"somebody else signs for {foreign.sender}: {foreign}"


def _nonce(record: OutgoingRecord) -> int:
    assert record.nonce is not None, "what is signed has its nonce"
    return record.nonce
