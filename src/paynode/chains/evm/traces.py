"""What a provider's trace of a block says: the native coins that moved inside its transactions. Pure.

The one rule: a transfer counts only if its frame and every frame above it succeeded. A frame under a reverted one
carries no error of its own. DELEGATECALL, CALLCODE and STATICCALL move nothing, whatever value they repeat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from paynode.chains.evm.wire import Address, Hash, Quantity


class TraceMethod(StrEnum):
    """The two ways to ask for it, the one that is asked first above. A flat list needs no deep recursion."""

    FLAT = "trace_block"
    NESTED = "debug_traceBlockByHash"


@dataclass(frozen=True, slots=True)
class InnerTransfer:
    """Native coins that a contract sent inside a transaction; addresses and hash in lower case."""

    tx_hash: str
    sender: str
    recipient: str
    units: int


class FlatAction(msgspec.Struct, frozen=True, rename="camel"):
    """What one trace did. A `suicide` gives its balance to `refund_address`."""

    from_: Address | None = msgspec.field(name="from", default=None)
    to: Address | None = None
    value: Quantity | None = None
    call_type: str | None = None
    address: Address | None = None
    refund_address: Address | None = None
    balance: Quantity | None = None


class FlatResult(msgspec.Struct, frozen=True):
    address: Address | None = None  # of the contract that a `create` made


class FlatTrace(msgspec.Struct, frozen=True, rename="camel"):
    """One trace of `trace_block`, placed in its transaction's tree by `trace_address`."""

    type: str
    action: FlatAction
    block_hash: Hash
    trace_address: tuple[int, ...] = ()
    transaction_hash: Hash | None = None  # None: a reward of the block
    result: FlatResult | None = None
    error: str | None = None


class Frame(msgspec.Struct, frozen=True):
    """One call of geth's `callTracer`, with those it made."""

    type: str
    from_: Address | None = msgspec.field(name="from", default=None)
    to: Address | None = None
    value: Quantity | None = None
    error: str | None = None
    calls: tuple["Frame", ...] = ()


class NestedTrace(msgspec.Struct, frozen=True, rename="camel"):
    """One transaction's tree; a node that could not trace it gives none."""

    tx_hash: Hash | None = None
    result: Frame | None = None


def of_flat(traces: Sequence[FlatTrace]) -> list[InnerTransfer]:
    """The transfers that `trace_block` tells of."""
    failed = {(trace.transaction_hash, trace.trace_address) for trace in traces if trace.error}
    return [
        transfer
        for trace in traces
        if trace.transaction_hash is not None
        and trace.trace_address
        and not any(
            (trace.transaction_hash, trace.trace_address[:depth]) in failed
            for depth in range(len(trace.trace_address) + 1)
        )
        and (transfer := _of_action(trace, trace.transaction_hash)) is not None
    ]


def of_nested(traces: Sequence[NestedTrace]) -> list[InnerTransfer]:
    """The transfers that `callTracer` tells of."""
    return [
        transfer
        for trace in traces
        if trace.tx_hash is not None and trace.result is not None
        for frame in _standing_below(trace.result)
        if frame.type in {"CALL", "CREATE", "CREATE2", "SELFDESTRUCT"}
        and (transfer := _transfer(trace.tx_hash, frame.from_, frame.to, frame.value)) is not None
    ]


def _standing_below(top: Frame) -> Iterator[Frame]:
    """The frames below `top` that no failure above them, or of their own, has undone."""
    open_frames = [top]
    while open_frames:
        frame = open_frames.pop()
        if frame.error:
            continue
        if frame is not top:
            yield frame
        open_frames += reversed(frame.calls)


def _of_action(trace: FlatTrace, tx_hash: str) -> InnerTransfer | None:
    action = trace.action
    match trace.type:
        case "call" if action.call_type == "call":
            return _transfer(tx_hash, action.from_, action.to, action.value)
        case "create":
            made = None if trace.result is None else trace.result.address
            return _transfer(tx_hash, action.from_, made, action.value)
        case "suicide":
            return _transfer(tx_hash, action.address, action.refund_address, action.balance)
        case _:
            return None


def _transfer(tx_hash: str, sender: str | None, recipient: str | None, value: str | None) -> InnerTransfer | None:
    if sender is None or recipient is None or value is None or sender.lower() == recipient.lower():
        return None
    units = int(value, 16)
    return InnerTransfer(tx_hash.lower(), sender.lower(), recipient.lower(), units) if units else None
