"""What each event is about: the shape of `data.object`."""

from collections.abc import Mapping

from paynode.domain.events import EventType
from paynode.operations.networks import NetworkStateView
from paynode.operations.outflows import OutflowPauseView
from paynode.operations.screening_lists import ScreeningView
from paynode.operations.startup import TreasuryView
from paynode.operations.views.address import ReusedAddressView
from paynode.operations.views.deposit import DepositView
from paynode.operations.views.invoice import InvoiceView
from paynode.operations.views.shapes import View
from paynode.operations.views.sweep import SweepView
from paynode.operations.views.webhooks import EndpointView

_BY_SUBJECT: Mapping[str, type[View]] = {  # what stands before the point of an event's name
    "invoice": InvoiceView,
    "deposit": DepositView,
    "screening": DepositView,
    "screening_lists": ScreeningView,
    "address": ReusedAddressView,
    "sweep": SweepView,
    "network": NetworkStateView,
    "outflows": OutflowPauseView,
    "treasury": TreasuryView,
    "webhook_endpoint": EndpointView,
    "ping": EndpointView,
}

EVENT_SHAPES: Mapping[EventType, type[View]] = {kind: _BY_SUBJECT[kind.partition(".")[0]] for kind in EventType}
