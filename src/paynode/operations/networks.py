"""The state of each network, and announcing when it changes: one that fails is degraded alone."""

from dataclasses import replace
from datetime import datetime

from paynode.domain.events import EventType
from paynode.operations.announcing import announce
from paynode.operations.catalogue import Catalogue
from paynode.operations.outflows import pause
from paynode.operations.views.shapes import View
from paynode.store import chain
from paynode.store.database import Tx


class NetworkStateView(View, frozen=True, tag_field="object", tag="network"):
    """What the world is told of a network's state."""

    id: str
    state: str
    reason: str | None


def note_trouble(tx: Tx, catalogue: Catalogue, network: str, reason: str, now: datetime) -> None:
    """Remember that a network cannot be followed now, or not be believed; that it began is announced."""
    record = chain.network(tx, network)
    if (record.state, record.reason) == ("degraded", reason) or record.state == "stopped":
        return
    chain.save_network(tx, replace(record, state="degraded", reason=reason))
    if record.state == "ok":
        _tell(tx, catalogue, EventType.NETWORK_DEGRADED, network, "degraded", reason, now)


def note_recovery(tx: Tx, catalogue: Catalogue, network: str, now: datetime) -> None:
    """Remember that a network is followed again."""
    record = chain.network(tx, network)
    if record.state == "ok":
        return
    chain.save_network(tx, replace(record, state="ok", reason=None))
    _tell(tx, catalogue, EventType.NETWORK_RECOVERED, network, "ok", None, now)


def stop(tx: Tx, catalogue: Catalogue, network: str, reason: str, now: datetime) -> None:
    """Stop following a network until an operator has looked: the chain broke a promise we rely on."""
    record = chain.network(tx, network)
    if record.state == "stopped":
        return
    chain.save_network(tx, replace(record, state="stopped", reason=reason))
    _tell(tx, catalogue, EventType.NETWORK_DEGRADED, network, "stopped", reason, now)
    pause(tx, catalogue, network, "", reason, now)


def _tell(
    tx: Tx, catalogue: Catalogue, kind: EventType, network: str, state: str, reason: str | None, now: datetime
) -> None:
    view = NetworkStateView(id=network, state=state, reason=reason)
    announce(tx, catalogue, kind, subject=f"network:{network}", store_id=None, view=view, now=now)
