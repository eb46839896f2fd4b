"""An address of the carousel, as its merchant hears of it when the next invoice gets it."""

from paynode.operations.views.shapes import Moment, View


class ReusedAddressView(View, frozen=True, tag_field="object", tag="address"):
    family: str
    address: str
    invoice: str
    previous_invoice: str
    issued_at: Moment
