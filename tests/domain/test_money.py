from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynode.domain.money import (
    DIGITS_MAX,
    Asset,
    NotAnAmount,
    format_decimal,
    format_fixed,
    format_trimmed,
    format_units,
    minor_digits,
    parse_decimal,
    power_of_ten,
    to_units,
)

every_decimals = st.sampled_from([0, 6, 8, 18, 24])
any_units = st.integers(-(2**256), 2**256)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Decimal(0)),
        ("7", Decimal(7)),
        ("19.99", Decimal("19.99")),
        ("0.000000000000000001", Decimal("0.000000000000000001")),
        ("-3.5", Decimal("-3.5")),
        ("10000000000000000000000000", Decimal(10) ** 25),
        ("1.50", Decimal("1.5")),
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, value: Decimal) -> None:
    assert parse_decimal(text, decimals_max=18) == value


@pytest.mark.parametrize(
    "text",
    [
        *("1e3", "1E3", "1e-3", "1E+3", "0x10", "1_000", "1,5", "1 000", "NaN", "sNaN", "Infinity", "-Infinity", "inf"),
        *("", "-", ".", "-.", "1.", ".5", "+1", "--1", "1-", "1.2.3", "00", "01", "-01", "00.1"),
        *(" 1", "1 ", "1\n", "\t1", "1\x00", "\ufeff1", "$1", "1USD"),
        *("\uff11\uff12", "1\uff0e5", "\u0661\u0662", "\u09e7", "\u00b2", "\u00bd", "\u22121", "1\u00a0000"),
        *("-" * 90, "." * 90, "-" * 5_000, "." * 5_000),
    ],
)
def test_whatever_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(NotAnAmount, match="plain decimal"):
        parse_decimal(text, decimals_max=18)


@pytest.mark.parametrize(
    "text",
    ["1" + "0" * (DIGITS_MAX - 1), "-" + "9" * DIGITS_MAX, "-" + "9" * 70 + ".12345678", "0." + "1" * (DIGITS_MAX - 1)],
)
def test_as_many_digits_as_a_chain_can_hold_are_read(text: str) -> None:
    assert format_decimal(parse_decimal(text, decimals_max=DIGITS_MAX)) == text


@pytest.mark.parametrize(
    "text",
    [
        "9" * (DIGITS_MAX + 1),
        "9" * (DIGITS_MAX + 2),
        "-" + "9" * (DIGITS_MAX + 1),
        "9" * DIGITS_MAX + ".5",
        "0." + "1" * DIGITS_MAX,
        "9" * 5_000,
        "-" + "9" * 5_000,
        "0." + "0" * 5_000,
        "\uff11" * 5_000,
    ],
)
def test_more_digits_than_a_chain_can_hold_are_refused(text: str) -> None:
    with pytest.raises(NotAnAmount, match=f"more than {DIGITS_MAX} digits"):
        parse_decimal(text, decimals_max=5_000)


@pytest.mark.parametrize(("text", "decimals_max"), [("1.5", 0), ("1.0", 0), ("19.999", 2), ("0.0000001", 6)])
def test_a_number_finer_than_allowed_is_refused(text: str, decimals_max: int) -> None:
    with pytest.raises(NotAnAmount, match=f"more than {decimals_max} decimals"):
        parse_decimal(text, decimals_max=decimals_max)


@given(st.text(alphabet="0123456789.-+eE_ \uff11\u0661", max_size=12))
def test_what_is_read_is_written_back_as_it_came(text: str) -> None:
    try:
        value = parse_decimal(text, decimals_max=12)
    except NotAnAmount:
        return
    assert format_decimal(value) == text


@pytest.mark.parametrize(
    ("amount", "decimals", "units"),
    [
        ("0", 18, 0),
        ("-0", 6, 0),
        ("1", 0, 1),
        ("1.000", 0, 1),
        ("0.000001", 6, 1),
        ("0.00000001", 8, 1),
        ("0.000000000000000001", 18, 1),
        ("0.000000000000000000000001", 24, 1),
        ("0.9999999999999999999999999", 25, 10**25 - 1),
        ("10000000000000000000000000", 0, 10**25),
        ("10000000000000000000000000", 18, 10**43),
        ("1E+3", 6, 10**9),
        ("-1.5", 6, -1_500_000),
    ],
)
def test_an_amount_in_base_units_is_exact(amount: str, decimals: int, units: int) -> None:
    assert to_units(Decimal(amount), decimals) == units


@pytest.mark.parametrize(("amount", "decimals"), [("0.5", 0), ("0.0000001", 6), ("-0.0000001", 6), ("1E-19", 18)])
def test_an_amount_finer_than_one_base_unit_is_refused(amount: str, decimals: int) -> None:
    with pytest.raises(NotAnAmount):
        to_units(Decimal(amount), decimals)


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [
        (0, 0, "0"),
        (0, 18, "0"),
        (100, 0, "100"),
        (1_500_000, 6, "1.5"),
        (1, 8, "0.00000001"),
        (1, 18, "0.000000000000000001"),
        (1, 24, "0.000000000000000000000001"),
        (10**25, 18, "10000000"),
        (10**25 - 1, 18, "9999999.999999999999999999"),
        (-1, 6, "-0.000001"),
        (-10_000_000, 6, "-10"),
    ],
)
def test_base_units_are_written_without_trailing_zeros(units: int, decimals: int, text: str) -> None:
    assert format_units(units, decimals) == text


@given(any_units, every_decimals)
def test_base_units_survive_being_written_and_read(units: int, decimals: int) -> None:
    text = format_units(units, decimals)
    assert to_units(parse_decimal(text, decimals_max=decimals, digits_max=DIGITS_MAX + 24), decimals) == units


@pytest.mark.parametrize(
    ("value", "digits", "down", "up"),
    [
        (Fraction(0), 2, "0.00", "0.00"),
        (Fraction(1, 3), 2, "0.33", "0.34"),
        (Fraction(2), 2, "2.00", "2.00"),
        (Fraction(1, 10**25), 2, "0.00", "0.01"),
        (Fraction(3_999, 2), 0, "1999", "2000"),  # yen have no decimals
        (Fraction(1_999_999, 1_000), 3, "1999.999", "1999.999"),  # dinars have three
        (Fraction(10**50 + 1, 10**25), 2, "10000000000000000000000000.00", "10000000000000000000000000.01"),
    ],
)
def test_a_sum_is_shown_with_its_currencys_decimals(value: Fraction, digits: int, down: str, up: str) -> None:
    assert format_fixed(value, digits) == down
    assert format_fixed(value, digits, round_up=True) == up


@given(st.fractions(min_value=0), st.integers(0, 8))
def test_a_shown_sum_is_less_than_one_step_from_the_true_one(value: Fraction, digits: int) -> None:
    step = Fraction(1, 10**digits)
    down, up = Fraction(format_fixed(value, digits)), Fraction(format_fixed(value, digits, round_up=True))
    assert value - step < down <= value <= up < value + step


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (Fraction(0), 18, "0"),
        (Fraction(10), 0, "10"),
        (Fraction(10), 18, "10"),
        (Fraction(1, 10**18), 18, "0.000000000000000001"),
        (Fraction(3, 2), 18, "1.5"),
        (Fraction(1, 3), 6, "0.333333"),
    ],
)
def test_a_sum_in_a_coin_is_shown_without_needless_zeros(value: Fraction, digits: int, text: str) -> None:
    assert format_trimmed(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("1E-7", "0.0000001"), ("1.50", "1.50"), ("1234567890" * 4 + ".5", "1234567890" * 4 + ".5")],
)
def test_a_decimal_is_written_without_an_exponent(value: str, text: str) -> None:
    assert format_decimal(Decimal(value)) == text


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("TND", 3), ("CLF", 4), ("CLP", 0)],
)
def test_a_currency_has_the_minor_digits_of_iso_4217(currency: str, digits: int) -> None:
    assert minor_digits(currency) == digits


@pytest.mark.parametrize(("decimals", "payable"), [(0, 0), (6, 6), (8, 8), (18, 8), (24, 8)])
def test_an_amount_due_has_eight_decimals_at_most(decimals: int, payable: int) -> None:
    assert Asset("eth", "tok", decimals, None).payable_decimals == payable


def test_a_method_is_named_after_network_and_symbol() -> None:
    assert Asset("polygon", "usdc", 6, "0xA").method == "polygon_usdc"


def test_a_power_of_ten_is_exact() -> None:
    assert power_of_ten(0) == 1
    assert power_of_ten(25) == 10_000_000_000_000_000_000_000_000
