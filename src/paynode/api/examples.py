"""Requests that work as they stand on a simulated node: the examples of the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

REQUESTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {  # by route, by what the example shows
    "POST /v1/invoices": {
        "in_fiat": {
            "amount": "49.90",
            "currency": "USD",
            "methods": ["sim_usdt"],
            "order_id": "1001",
            "metadata": {"cart": "7"},
            "provision": True,
        },
        "in_a_coin": {"amount": "25", "currency": "USDT", "methods": ["stables"], "expires_in": "2h45m"},
    },
    "POST /v1/webhook_endpoints": {
        "some_events": {"url": "https://shop.example.com/hooks", "events": ["invoice.paid", "invoice.paid_late"]},
    },
    "POST /v1/test/invoices/<invoice_id>/pay": {
        "in_full": {},
        "half": {"percent": "50"},
        "too_late": {"late": True},
    },
    "POST /v1/test/mine": {"ten_blocks": {"blocks": 10}},
}
