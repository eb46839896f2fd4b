"""The node itself: how it is, for its owner and for monitors, and letting paused outflows go on."""

from datetime import timedelta

from paynode.api.body import Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.networks import NetworkView, network_view
from paynode.api.routes import Call, Routes, answer
from paynode.config import Mode
from paynode.operations import outflows, screening_lists
from paynode.operations.branches import BranchView, branches
from paynode.operations.once import Answer
from paynode.operations.outflows import OutflowPauseView
from paynode.operations.pace import HEARTBEAT_SECONDS
from paynode.operations.screening_lists import ScreeningView
from paynode.operations.views.shapes import Moment, View, moment
from paynode.store import chain, outgoing
from paynode.store.database import Tx

routes = Routes()

TICKS_MISSED_MAX = 4  # a look may take its time, or fail and be tried again
PAUSE_MAX = timedelta(seconds=HEARTBEAT_SECONDS)  # between looks, while nothing is open or calls are scarce
LOOK_GRACE = timedelta(seconds=60)


class StatusView(View, frozen=True, tag_field="object", tag="status"):
    """That the node answers, and whether it sees the money that comes in."""

    alive: bool
    watching: bool
    mode: Mode


class OutflowsView(View, frozen=True):
    paused: bool
    reasons: list[OutflowPauseView]


class NodeView(View, frozen=True, tag_field="object", tag="node"):
    version: str
    mode: Mode
    state: str
    services: dict[str, str]
    outflows: OutflowsView
    screening: ScreeningView
    networks: list[NetworkView]
    addresses: list[BranchView]
    started_at: Moment
    now: Moment


@routes.get("/v1/status", shows=StatusView)
def show_status(call: Call[Nothing], tx: Tx) -> Answer:
    """For monitors, without a key: that the node answers, and whether it sees the money that comes in."""
    is_watching = _is_watching(call, tx)
    return answer(StatusView(alive=True, watching=is_watching, mode=call.node.catalogue.mode))


@routes.get("/v1/node", scope="node:read", shows=NodeView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show how the node is: version, services, pauses, networks."""
    node = call.node
    pauses = outgoing.pauses(tx)
    return answer(
        NodeView(
            version=node.version,
            mode=node.catalogue.mode,
            state="ok" if _is_watching(call, tx) else "degraded",
            services=dict(node.health()),
            outflows=OutflowsView(paused=bool(pauses), reasons=[outflows.pause_view(pause) for pause in pauses]),
            screening=screening_lists.view(tx, node.catalogue, call.now),
            networks=[network_view(call, tx, network) for network in node.catalogue.config.networks.values()],
            addresses=branches(tx),
            started_at=moment(node.started_at),
            now=moment(call.now),
        )
    )


@routes.post("/v1/outflows/resume", Nothing, scope="outflows:write", shows=ListView[OutflowPauseView])
def resume(call: Call[Nothing], tx: Tx) -> Answer:
    """Acknowledge every pause; answers with what was acknowledged."""
    return list_answer(outflows.pause_view(pause) for pause in outflows.resume(tx, call.node.catalogue, call.now))


def _is_watching(call: Call[Nothing], tx: Tx) -> bool:
    """Whether the node sees the money that comes in: its services run, and every network is followed."""
    is_healthy = all(word == "ok" for word in call.node.health().values())
    return is_healthy and all(_is_followed(call, tx, network) for network in call.node.catalogue.networks)


def _is_followed(call: Call[Nothing], tx: Tx, network: str) -> bool:
    """Whether the last complete look at a network was good and is recent."""
    record = chain.network(tx, network)
    ticks = TICKS_MISSED_MAX * timedelta(seconds=call.node.catalogue.networks[network].tick_seconds)
    return (
        record.state == "ok"
        and record.looked_at is not None
        and call.now - record.looked_at <= LOOK_GRACE + max(ticks, PAUSE_MAX)
    )
