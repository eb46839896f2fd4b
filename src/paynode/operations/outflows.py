"""Pausing what leaves the node, and letting it go on: fail closed out (I16)."""

from dataclasses import replace
from datetime import datetime

from paynode.domain.events import EventType
from paynode.operations.announcing import announce
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import Moment, View, moment
from paynode.store import bells, chain, outgoing
from paynode.store.database import Tx
from paynode.store.outgoing import PauseRecord


class OutflowPauseView(View, frozen=True, tag_field="object", tag="outflow_pause"):
    network: str
    method: str | None  # null: all
    reason: str
    paused_at: Moment


def pause(tx: Tx, catalogue: Catalogue, network: str, method: str, reason: str, now: datetime) -> None:
    """Send nothing of `method` ('': nothing at all) on `network` until an operator acknowledges the reason."""
    if outgoing.pause(tx, network, method, reason, now):
        view = _shown(network, method, reason, now)
        announce(
            tx, catalogue, EventType.OUTFLOWS_PAUSED, subject=f"outflows:{network}", store_id=None, view=view, now=now
        )


def resume(tx: Tx, catalogue: Catalogue, now: datetime) -> list[PauseRecord]:
    """Acknowledge every open pause; returns them. A network that had stopped is followed again.

    If what stopped it persists, it stops again.
    """
    acknowledged = outgoing.pauses(tx)
    for network in catalogue.networks:
        state = chain.network(tx, network)
        if state.state == "stopped":
            chain.save_network(tx, replace(state, state="degraded", reason=f"tried again after: {state.reason}"))
            tx.ring(bells.WATCHES)
    outgoing.resume(tx, now)
    for record in acknowledged:
        announce(
            tx,
            catalogue,
            EventType.OUTFLOWS_RESUMED,
            subject=f"outflows:{record.network}",
            store_id=None,
            view=pause_view(record),
            now=now,
        )
    tx.ring(bells.OUTGOING)
    return acknowledged


def pause_view(record: PauseRecord) -> OutflowPauseView:
    return _shown(record.network, record.method, record.reason, record.paused_at)


def _shown(network: str, method: str, reason: str, paused_at: datetime) -> OutflowPauseView:
    return OutflowPauseView(network=network, method=method or None, reason=reason, paused_at=moment(paused_at))
