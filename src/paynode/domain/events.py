"""The facts we announce: the names on the wire, each with what it says.

An event is written in the transaction that makes it true, with a sequence per subject that has no gap (I18).
"""

from enum import StrEnum


class EventType(StrEnum):
    INVOICE_CREATED = "invoice.created"
    INVOICE_DEPOSIT_DETECTED = "invoice.deposit_detected"  # a transfer to one of its addresses is in a block
    INVOICE_DEPOSIT_CONFIRMED = "invoice.deposit_confirmed"  # that transfer is deep enough, and counts
    INVOICE_CONFIRMING = "invoice.confirming"  # enough was seen, not yet deep enough
    INVOICE_PAID = "invoice.paid"  # deliver the goods
    INVOICE_OVERPAID = "invoice.overpaid"  # beside paid: more arrived than the tolerance allows; once
    INVOICE_UNDERPAID = "invoice.underpaid"  # expired with a partial payment; once
    INVOICE_EXPIRED = "invoice.expired"
    INVOICE_PAID_LATE = "invoice.paid_late"  # money covers it after it closed; the merchant may accept it; once
    INVOICE_REVERSED = "invoice.reversed"  # the chain took back what had paid it
    INVOICE_CANCELLED = "invoice.cancelled"
    INVOICE_DELETED = "invoice.deleted"  # its merchant removed it, before it ever had an address
    INVOICE_UPDATED = "invoice.updated"  # anything else: an address was issued, a price renewed, a status went back

    DEPOSIT_ORPHANED = "deposit.orphaned"  # its block left the chain
    DEPOSIT_UNATTRIBUTED = "deposit.unattributed"  # money on an address of ours that no invoice asked for that way
    DEPOSIT_LATE = "deposit.late"  # arrived after the deadline or the cancellation

    ADDRESS_REUSED = "address.reused"  # another invoice has it from now on

    SCREENING_FLAGGED = "screening.flagged"  # something is known against the senders of a deposit
    SCREENING_RELEASED = "screening.released"  # a person let a deposit go that was kept back
    SCREENING_LISTS_DEGRADED = "screening_lists.degraded"  # a list of addresses is missing, broken or too old
    SCREENING_LISTS_RECOVERED = "screening_lists.recovered"

    SWEEP_QUEUED = "sweep.queued"
    SWEEP_BROADCAST = "sweep.broadcast"
    SWEEP_COMPLETED = "sweep.completed"
    SWEEP_PARTIALLY_COMPLETED = "sweep.partially_completed"
    SWEEP_FAILED = "sweep.failed"
    SWEEP_CANCELLED = "sweep.cancelled"  # called off before anything of it was signed

    NETWORK_DEGRADED = "network.degraded"
    NETWORK_RECOVERED = "network.recovered"
    OUTFLOWS_PAUSED = "outflows.paused"
    OUTFLOWS_RESUMED = "outflows.resumed"
    TREASURY_CHANGED = "treasury.changed"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    PING = "ping"
