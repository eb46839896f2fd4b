"""What came of asking the node to look again: at an invoice's addresses (check), or at one transaction (claim)."""

from paynode.domain.chain import ClaimAnswer
from paynode.domain.rescue import ClaimState
from paynode.operations.views.shapes import Moment, View


class LookView(View, frozen=True):
    """Where is looked, and how far back; `watched_until` null: for ever."""

    network: str
    address: str
    since_block: int
    head: int | None
    watched_until: Moment | None


class CheckView(View, frozen=True, tag_field="object", tag="check"):
    invoice: str
    networks: list[LookView]
    created_at: Moment


class ClaimNetworkView(View, frozen=True):
    """What one network said; null: it was not heard yet."""

    network: str
    answer: ClaimAnswer | None
    reason: str | None


class ClaimView(View, frozen=True, tag_field="object", tag="claim"):
    id: str
    invoice: str
    tx_hash: str
    state: ClaimState
    reason: str | None
    deposits: list[str]
    networks: list[ClaimNetworkView]
    created_at: Moment
