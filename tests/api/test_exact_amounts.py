"""Amounts are exact from the request to the deposit, in coins of 0, 6, 18 and 24 decimals (I8).

Each invoice is made over HTTP and paid on a simulated chain: one unit short, exactly, one unit over.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Api, World
from tests.lab.shop import Shop, make_key
from tests.lab.simnode import SimNode, derive

from paynode.api.app import create_app
from paynode.domain.scopes import STORE_SCOPES

FOUR_COINS = """
[networks.alpha]
family = "sim"
native = { symbol = "wei", decimals = 18 }
tokens = { ticket = { decimals = 0 }, usdt = { decimals = 6, stable = true }, yocto = { decimals = 24 } }
[rates]
static = { "ticket/USD" = "3", "usdt/USD" = "1", "wei/USD" = "2999.99", "yocto/USD" = "0.0000000001" }
"""


@dataclass(frozen=True)
class Till:
    """A shop's API over a node whose chain really moves."""

    node: SimNode
    api: Api

    async def asked(self, amount: str, currency: str) -> Any:
        """A new invoice for so much of a coin, with its address."""
        methods = [f"alpha_{currency}"]
        return await self.api.invoice(amount=amount, currency=currency, methods=methods, provision=True)

    async def paid(self, invoice: Any, units: int) -> Any:
        """The invoice after its first method got so many units, at depth."""
        self.node.pay(invoice["id"], units, invoice["methods"][0]["method"])
        await self.node.mine(3)
        self.node.check()
        return (await self.api.get(f"/v1/invoices/{invoice['id']}")).json


@pytest.fixture
async def till(tmp_path: Path, world: World) -> Till:
    node = SimNode(tmp_path, FOUR_COINS)
    await node.mine(2)
    served = replace(
        world.node, database=node.database, catalogue=node.catalogue, derive=derive, clock=node.clock, simulation=None
    )
    key = make_key(Shop(node.database, node.catalogue, node.store_id), STORE_SCOPES)
    return Till(node, Api(create_app(served), key))


PRICES = [
    ("ticket", 0, "3"),
    ("ticket", 0, "999999999999999"),  # of no coin more is asked for
    ("usdt", 6, "0.000002"),
    ("usdt", 6, "19.99"),
    ("wei", 18, "0.000000000000000002"),
    ("wei", 18, "123456789.123456789123456789"),  # past 2**64
    ("yocto", 24, "0.000000000000000000000002"),
    ("yocto", 24, "123456789012345.123456789012345678901234"),  # past 2**128
]


def in_units(amount: str, decimals: int) -> int:
    """By moving the point in the text, so that no number is in between."""
    whole, _, fraction = amount.partition(".")
    return int(whole + fraction.ljust(decimals, "0"))


def written(units: int, decimals: int) -> str:
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[: len(digits) - decimals]}.{digits[len(digits) - decimals :]}".rstrip("0").rstrip(".")


async def test_one_unit_decides(till: Till) -> None:
    """One invoice for each coin, price and miss; all are paid in one block."""
    rows = [
        (*price, off_by, states)
        for price in PRICES
        for off_by, states in ((-1, ("open", "partial")), (0, ("paid", "exact")), (1, ("paid", "over")))
    ]
    ids = []
    for symbol, decimals, amount, off_by, _ in rows:
        invoice = await till.asked(amount, symbol)
        units = in_units(amount, decimals)
        [method] = invoice["methods"]
        assert (method["amount"], method["amount_units"], method["rate"]) == (amount, str(units), "1")
        till.node.pay(invoice["id"], units + off_by, f"alpha_{symbol}")
        ids.append(invoice["id"])
    await till.node.mine(3)
    till.node.check()
    for invoice_id, (symbol, decimals, amount, off_by, states) in zip(ids, rows, strict=True):
        seen = (await till.api.get(f"/v1/invoices/{invoice_id}")).json
        unit, paid = written(1, decimals), written(in_units(amount, decimals) + off_by, decimals)
        which = (symbol, amount, off_by)
        assert (seen["status"], seen["payment_state"]) == states, which
        [deposit] = seen["deposits"]
        assert [deposit[name] for name in ("amount", "value", "amount_units")] == [
            paid,
            paid,
            str(in_units(amount, decimals) + off_by),
        ], which
        assert [seen[name] for name in ("amount", "amount_paid", "amount_confirmed")] == [amount, paid, paid], which
        rest = (unit if off_by < 0 else "0", unit if off_by > 0 else "0")
        assert (seen["amount_due"], seen["amount_overpaid"]) == rest, which
        assert seen["methods"][0]["amount_due_units"] == ("1" if off_by < 0 else "0"), which


@pytest.mark.parametrize(
    ("symbol", "amount", "units"),
    [
        ("ticket", "10", 4),  # 3.33 of them: rounded up to what there is
        ("usdt", "0.01", 10_000),
        ("wei", "10", 3_333_350_000_000_000),  # to eight decimals, as people can type it
        ("yocto", "999999999999999", 9_999_999_999_999_990_000_000_000 * 10**24),
    ],
)
async def test_a_price_in_dollars_is_due_rounded_up_and_pays_exactly(
    till: Till, symbol: str, amount: str, units: int
) -> None:
    invoice = await till.api.invoice(amount=amount, methods=[f"alpha_{symbol}"], provision=True)
    assert invoice["methods"][0]["amount_units"] == str(units)
    short = await till.paid(invoice, units - 1)
    assert (short["status"], short["payment_state"]) == ("open", "partial")
    assert short["methods"][0]["amount_due_units"] != "0"
    whole = await till.paid(invoice, 1)
    assert (whole["status"], whole["payment_state"], whole["amount_paid"]) == (
        "paid",
        "exact",
        whole["amount_confirmed"],
    )


async def test_more_than_any_price_is_credited_to_the_last_unit(till: Till) -> None:
    units = 2**200 + 1
    invoice = await till.asked("1", "ticket")
    seen = await till.paid(invoice, units)
    assert (seen["payment_state"], seen["amount_paid"], seen["amount_overpaid"]) == ("over", str(units), str(units - 1))


TENTHS = ["0.1", "0.2", "0.3", "0.7"]


async def test_parts_add_up_as_people_add_them(till: Till) -> None:
    """In binary floats 0.1 + 0.2 + 0.3 + 0.7 is 1.2999999999999998."""
    invoice = await till.asked("1.3", "wei")
    for part in TENTHS:
        assert (await till.api.get(f"/v1/invoices/{invoice['id']}")).json["status"] == "open"
        invoice = await till.paid(invoice, in_units(part, 18))
    assert (invoice["status"], invoice["payment_state"], invoice["amount_paid"]) == ("paid", "exact", "1.3")


async def test_one_decimal_more_than_a_coin_has_is_refused(till: Till) -> None:
    for symbol, decimals, _ in PRICES:
        finer = f"1.{'0' * decimals}1"
        reply = await till.api.post("/v1/invoices", {"amount": finer, "currency": symbol})
        assert (reply.status, reply.problems) == (422, {"/amount": "not_an_amount"}), symbol


NOT_NUMBERS = {
    "an exponent": "1e3",
    "a capital exponent": "1E-2",
    "full-width digits": "\uff11\uff10",
    "Arabic digits": "\u0661\u0662",
    "a superscript": "1\u00b2",
    "5,000 digits": "9" * 5000,
    "5,000 decimals": "0." + "0" * 4999 + "1",
    "25 decimals": "0." + "1" * 25,
    "an underscore": "1_000",
    "a comma": "1,5",
    "a space": "1 000",
    "a plus": "+1",
    "a leading zero": "01",
    "a bare point": ".5",
    "hexadecimal": "0x10",
    "nothing": "",
    "not a number": "NaN",
    "infinity": "Infinity",
    "a newline": "1\n",
    "a minus of its own": "\u22121",
}
FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "/amount": lambda text: {"amount": text},
    "/min_amount": lambda text: {"amount": None, "min_amount": text},
    "/markup_percent": lambda text: {"markup_percent": text},
    "/rate": lambda text: {"rate": text, "methods": ["alpha_usdt"]},
    "/rates/alpha_usdt": lambda text: {"rates": {"alpha_usdt": text}},
    "/tolerance/under_percent": lambda text: {"tolerance": {"under_percent": text}},
    "/tolerance/over_percent": lambda text: {"tolerance": {"over_percent": text}},
}


async def test_what_is_no_plain_decimal_is_refused_where_it_stands(till: Till) -> None:
    for pointer, body in FIELDS.items():
        for what, text in NOT_NUMBERS.items():
            reply = await till.api.post("/v1/invoices", {"amount": "1", "currency": "USD", **body(text)})
            assert (reply.status, list(reply.problems)) == (422, [pointer]), f"{what} as {pointer}"
