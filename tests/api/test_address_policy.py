"""What becomes of an invoice's addresses, as its merchant asks for it."""

from typing import Any

import pytest
from tests.api.conftest import Api

WEEK = 7 * 86400


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (None, {"mode": "fresh", "rest": None}),
        ({"mode": "fresh"}, {"mode": "fresh", "rest": None}),
        ({"mode": "reuse"}, {"mode": "reuse", "rest": WEEK}),
        ({"mode": "reuse", "rest": None}, {"mode": "reuse", "rest": WEEK}),
        ({"mode": "reuse", "rest": 600}, {"mode": "reuse", "rest": 600}),
        ({"mode": "reuse", "rest": "PT24H"}, {"mode": "reuse", "rest": 86400}),
    ],
)
async def test_an_invoice_shows_the_policy_it_was_made_with(
    api: Api, asked: dict[str, Any] | None, shown: dict[str, Any]
) -> None:
    invoice = await api.invoice(address_policy=asked)
    assert invoice["address_policy"] == shown
    assert "address_policy" not in (await api.get(f"/checkout/{invoice['id']}")).json


@pytest.mark.parametrize(
    ("policy", "pointer", "code"),
    [
        ({"mode": "reuse", "rest": 599}, "/address_policy/rest", "out_of_range"),
        ({"mode": "reuse", "rest": "8761h"}, "/address_policy/rest", "out_of_range"),
        ({"mode": "reuse", "rest": "soon"}, "/address_policy/rest", "not_a_duration"),
        ({"mode": "fresh", "rest": 600}, "/address_policy/rest", "conflicting"),
    ],
)
async def test_a_policy_that_cannot_be_is_refused_where_it_is_wrong(
    api: Api, policy: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"amount": "1", "currency": "USD", "address_policy": policy}
    reply = await api.post("/v1/invoices", body)
    assert reply.status == 422
    assert reply.problems == {pointer: code}


async def test_a_reusable_invoice_keeps_its_addresses(api: Api) -> None:
    body = {"currency": "USD", "type": "reusable", "address_policy": {"mode": "reuse"}}
    assert (await api.post("/v1/invoices", body)).problems == {"/address_policy/mode": "conflicting"}


@pytest.mark.parametrize("policy", [{}, {"mode": "again"}, {"mode": "reuse", "pause": 600}, "reuse"])
async def test_a_policy_of_another_shape_is_refused(api: Api, policy: Any) -> None:
    body = {"amount": "1", "currency": "USD", "address_policy": policy}
    assert (await api.post("/v1/invoices", body)).status == 422
