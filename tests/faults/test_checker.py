"""The checker bites: a small true story passes, and every way to bend it is told."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.faults.checker import (
    Money,
    assert_deposits_are_true,
    assert_invoices_are_true,
    assert_one_effect,
    assert_told_truly,
)
from tests.lab.client import TokenTransfer
from tests.lab.node import TREASURY, gas_address

Json = dict[str, Any]
OURS, STRANGER = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94", "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"
TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
BLOCK, FORK, TX, SWEEP_TX, LOAN_TX = (f"0x{digit * 64}" for digit in "abcde")


def deposit() -> Json:
    return {
        "object": "deposit",
        "id": "dep_1",
        "invoice": "inv_1",
        "method": "eth_usdt",
        "address": OURS,
        "block_hash": BLOCK,
        "tx_hash": TX,
        "log_index": 3,
        "amount_units": "20000000",
        "value": "20.00",
        "state": "settled",
        "confirmations": 3,
        "confirmations_required": 3,
    }


def invoice(status: str, payment_state: str, *deposits: Json) -> Json:
    is_paid = status == "paid"
    return {
        "object": "invoice",
        "id": "inv_1",
        "status": status,
        "payment_state": payment_state,
        "late": False,
        "amount": "20",
        "amount_paid": "20.00" if deposits else "0.00",
        "amount_confirmed": "20.00" if is_paid else "0.00",
        "deposits": list(deposits),
    }


def event(sequence: int, kind: str, now: Json, **previous: str) -> Json:
    return {
        "object": "event",
        "id": f"evt_{sequence}",
        "type": kind,
        "subject": "inv_1",
        "sequence": sequence,
        "data": {"object": now, "previous": previous},
    }


def transfer(sender: str, recipient: str) -> TokenTransfer:
    return TokenTransfer(TOKEN, sender, recipient, 20_000_000, 9, BLOCK, SWEEP_TX, 0)


def transaction(hash_: str, to: str, value: int = 0) -> Json:
    return {"hash": hash_, "to": to.lower(), "value": hex(value)}


@dataclass
class Story:
    """One payment of 20, found, paid, told and swept with lent gas."""

    deposits: list[Json] = field(default_factory=lambda: [deposit()])
    invoices: list[Json] = field(default_factory=lambda: [invoice("paid", "exact", deposit())])
    sweeps: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    told: list[Json] = field(default_factory=list)
    money: Money = field(default_factory=Money)

    def __post_init__(self) -> None:
        item = {"state": "completed", "tx_hash": SWEEP_TX, "address": OURS}
        self.sweeps = [{"treasury": TREASURY, "state": "completed", "items": [item]}]
        seen = {**deposit(), "state": "detected", "confirmations": 1}
        self.events = [
            event(1, "invoice.created", invoice("open", "none")),
            event(2, "invoice.confirming", invoice("confirming", "exact", seen), status="open", payment_state="none"),
            event(3, "invoice.paid", invoice("paid", "exact", deposit()), status="confirming"),
        ]
        self.told = [{k: v for k, v in deepcopy(one).items() if k not in ("object", "subject")} for one in self.events]
        self.money.arrived["eth_usdt"][OURS, BLOCK, TX, 3] = 20_000_000
        self.money.transfers_out = [transfer(OURS, TREASURY)]
        self.money.sent[OURS] = [transaction(SWEEP_TX, TOKEN)]
        self.money.sent[gas_address()] = [transaction(LOAN_TX, OURS, 10**15)]

    def check(self) -> None:
        assert_deposits_are_true(self.money, self.deposits)
        assert_invoices_are_true(self.invoices)
        assert_one_effect(self.money, self.sweeps)
        assert_told_truly(self.events, self.told, self.invoices)


def missed(story: Story) -> None:
    """I1"""
    story.deposits.clear()


def credited_twice(story: Story) -> None:
    """I2"""
    story.deposits.append({**deposit(), "id": "dep_2"})


def credited_more(story: Story) -> None:
    """I2"""
    story.deposits[0]["amount_units"] = "20000001"


def invented(story: Story) -> None:
    """I2"""
    story.deposits.append({**deposit(), "id": "dep_2", "log_index": 4})


def of_another_method(story: Story) -> None:
    """I7"""
    story.deposits[0]["method"] = "eth_usdc"


def of_a_fork(story: Story) -> None:
    """I3"""
    story.deposits[0]["block_hash"] = FORK


def orphaned_though_canonical(story: Story) -> None:
    """I1"""
    story.deposits[0]["state"] = "orphaned"


def paid_more_than_deposits(story: Story) -> None:
    story.invoices[0]["amount_paid"] = "20.01"


def covered_and_open(story: Story) -> None:
    story.invoices[0]["status"] = "open"


def swept_twice(story: Story) -> None:
    """I12"""
    story.money.sent[OURS].append(transaction(FORK, TOKEN))


def swept_in_the_books_only(story: Story) -> None:
    """I12"""
    story.money.sent[OURS].clear()


def swept_to_another_treasury(story: Story) -> None:
    """I13"""
    story.sweeps[0]["treasury"] = STRANGER


def tokens_to_a_stranger(story: Story) -> None:
    """I13"""
    story.money.transfers_out = [replace(transfer(OURS, TREASURY), recipient=STRANGER)]


def coins_to_a_stranger(story: Story) -> None:
    """I13"""
    story.money.sent[OURS] = [transaction(SWEEP_TX, STRANGER, 5)]


def gas_lent_for_nothing(story: Story) -> None:
    """I15"""
    story.money.sent[gas_address()].append(transaction(FORK, OURS, 10**15))


def an_event_left_out(story: Story) -> None:
    """I18"""
    del story.events[1]


def an_event_told_twice(story: Story) -> None:
    """I18"""
    story.events.append({**story.events[2], "id": "evt_4"})


def a_state_without_an_event(story: Story) -> None:
    """I18"""
    story.invoices[0]["payment_state"] = "over"


def nothing_told(story: Story) -> None:
    """I18"""
    story.events.clear()


def a_change_from_what_never_was(story: Story) -> None:
    """I18"""
    story.events[2]["data"]["previous"]["status"] = "open"


def a_webhook_that_says_something_else(story: Story) -> None:
    """I19"""
    story.told[2]["data"]["object"]["amount_paid"] = "21.00"


def paid_before_it_was_final(story: Story) -> None:
    """I5"""
    for body in (story.events[2], story.told[2]):
        body["data"]["object"]["amount_confirmed"] = "0.00"


def final_before_its_depth(story: Story) -> None:
    """I5"""
    for body in (story.events[2], story.told[2]):
        body["data"]["object"]["deposits"][0]["confirmations"] = 2


BENT: list[Callable[[Story], None]] = [
    *(missed, credited_twice, credited_more, invented, of_another_method, of_a_fork, orphaned_though_canonical),
    *(paid_more_than_deposits, covered_and_open),
    *(swept_twice, swept_in_the_books_only, swept_to_another_treasury, tokens_to_a_stranger, coins_to_a_stranger),
    *(gas_lent_for_nothing, an_event_left_out, an_event_told_twice, a_state_without_an_event, nothing_told),
    *(a_change_from_what_never_was, a_webhook_that_says_something_else, paid_before_it_was_final),
    final_before_its_depth,
]


def test_a_true_story_passes() -> None:
    Story().check()


def test_an_orphaned_deposit_beside_its_replacement_passes() -> None:
    story = Story()
    story.deposits.insert(0, {**deposit(), "id": "dep_0", "block_hash": FORK, "state": "orphaned"})
    story.check()


@pytest.mark.parametrize("bend", BENT, ids=lambda bend: bend.__name__)
def test_a_story_that_is_bent_does_not_pass(bend: Callable[[Story], None]) -> None:
    story = Story()
    bend(story)
    with pytest.raises(AssertionError):
        story.check()
