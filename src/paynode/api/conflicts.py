"""The problems that several routes share, by what each of them needs; docs/errors.md explains every code."""

from paynode.domain.invoice import CLOSED

_CLOSED = tuple(f"invoice_{status}" for status in sorted(CLOSED))
_UNOFFERED = ("method_disabled", "method_refused", "network_not_ready", "rate_unavailable")

NOT_OPEN = (*_CLOSED, "invoice_confirming")  # to change what is open
NOT_PROVISIONED = (*NOT_OPEN, *_UNOFFERED)  # to issue an address and a price
NOT_CHECKED = ("method_disabled", "no_address")  # to look again
