"""The product with one rule of detection taken out. Each must turn the simulation red, or the rule is not tested.

Each is a small patch of one function; none changes the simulation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.simulation import scenarios, turns
from tests.simulation.life import Setting
from tests.simulation.scenarios import TWO_PROVIDERS, Scenario

from paynode.chains.evm import fork, ground, natives, tick, traces
from paynode.chains.evm.look import Looker
from paynode.chains.evm.sight import Sight
from paynode.domain import addresses
from paynode.domain.addresses import Holding
from paynode.domain.chain import BlockRef, Books, Row
from paynode.operations import arrivals, carousel, expiry, loading, receipts
from paynode.store import chain_rows, holdings, invoices


@dataclass(frozen=True)
class Mutant:
    """A rule less."""

    name: str
    take_out: Callable[[pytest.MonkeyPatch], None]
    scenario: Scenario  # goes wrong without it, always
    setting: Setting = TWO_PROVIDERS

    def __str__(self) -> str:
        return self.name


def search_only_since_the_last_agreement(patch: pytest.MonkeyPatch) -> None:
    """Rule 6 and floors: equal balances are one provider's word, so a search must be able to go below them."""
    floor = Books.floor

    def since_agreement(self: Books, *args: Any) -> int:
        return max(floor(self, *args), self.cursor.number if self.cursor else 0)

    patch.setattr(Books, "floor", since_agreement)


def trust_the_pin_without_its_context(patch: pytest.MonkeyPatch) -> None:
    """Rule 1: some backends answer from another block, and say nothing."""
    patch.setattr(Looker, "_check_context", lambda *args: None)


def void_above_the_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Rule 3: checkpoints are sparse, and only a row's own block tells that it is gone."""
    find = fork.find_fork

    def above(books: Books, *args: Any) -> fork.Fork | None:
        found = find(books, *args)
        if found is None or found.fork_number is None:
            return found
        return fork.Fork(found.fork_number, tuple(r for r in books.rows if r.block.number > (found.fork_number or 0)))

    patch.setattr(ground, "find_fork", above)


def add_to_inferred_rows(patch: pytest.MonkeyPatch) -> None:
    """Rule 7: what stale state put into a wrong block is found again in the right one."""

    def add(found: natives.Natives, rise: Any, rows: list[Row], booked: object) -> None:
        found.rows += rows

    patch.setattr(natives, "_replace", add)


def book_sweeps_from_the_plan(patch: pytest.MonkeyPatch) -> None:
    """Rule 4: what a sweep moved is in its receipt only."""
    patch.setattr(receipts, "_moved_units", lambda tx, record: record.units)


def key_on_tx_hash(patch: pytest.MonkeyPatch) -> None:
    _same_row_by(patch, "tx_hash = :tx_hash and kind = :kind")


def key_on_tx_hash_and_log_index(patch: pytest.MonkeyPatch) -> None:
    """The key has the block's hash: what a reorganisation moves is another row."""
    _same_row_by(patch, "tx_hash = :tx_hash and kind = :kind and log_index = :log_index")


def _same_row_by(patch: pytest.MonkeyPatch, condition: str) -> None:
    add = chain_rows.add_row

    def add_once(tx: Any, name: str, row: Row, now: Any) -> int | None:
        values = {"tx_hash": row.tx_hash, "kind": row.kind, "log_index": row.log_index}
        used = {key: value for key, value in values.items() if f":{key}" in condition}
        if row.tx_hash and tx.row(f"select 1 from chain_rows where {condition}", used):
            return None
        return add(tx, name, row, now)

    patch.setattr(chain_rows, "add_row", add_once)


def jump_to_the_head_after_an_outage(patch: pytest.MonkeyPatch) -> None:
    """Floors: what came while nobody looked is searched for, however long it was."""
    look, floor = tick.Tick._look, Books.floor
    jumped = [0]

    async def jump(self: tick.Tick) -> Any:
        sight, found = await look(self)
        if self.books.cursor is not None and sight.head.number - self.books.cursor.number > 100:
            jumped[0] = sight.head.number
        return sight, found

    patch.setattr(tick.Tick, "_look", jump)
    patch.setattr(Books, "floor", lambda self, *args: max(floor(self, *args), jumped[0]))


def expire_on_a_blind_chain(patch: pytest.MonkeyPatch) -> None:
    """I26: the clock alone expires nothing that a chain was asked to bring."""
    unasked = invoices.past_deadline_unasked
    patch.setattr(expiry, "CLOCK_TOLERANCE", timedelta(days=1))
    patch.setattr(expiry.invoices, "past_deadline_unasked", lambda tx, networks, now: unasked(tx, (), now))


def ignore_the_status_of_transactions(patch: pytest.MonkeyPatch) -> None:
    """Rule 7: a transaction that failed brought nothing, whatever its value says."""
    patch.setattr(natives.TxReceipt, "succeeded", True)


def ignore_addresses_with_code(patch: pytest.MonkeyPatch) -> None:
    """Rules 5 and 10: where a stranger can take money away, a right balance proves nothing."""
    look = tick.Tick._look

    async def without_code(self: tick.Tick) -> Any:
        found = await look(self)
        self.memory.ranges.coded.clear()
        return found

    patch.setattr(tick.Tick, "_look", without_code)


def follow_the_first_providers_chain(patch: pytest.MonkeyPatch) -> None:
    """B4: a fork on which nothing happens to us is followed block by block, and nobody is told."""

    async def believe(*args: object) -> None:
        return None

    patch.setattr(tick, "find_split", believe)


def expire_on_one_providers_word(patch: pytest.MonkeyPatch) -> None:
    """I26: the head that passed a deadline may be on a fork, or made up."""

    async def believe(sight: Sight, views: object, fork: object, checkpoint: BlockRef | None, *args: object) -> object:
        return None if checkpoint is None else checkpoint.at

    patch.setattr(tick, "agreed_until", believe)


def credit_traces_with_failed_ancestors(patch: pytest.MonkeyPatch) -> None:
    """Rule 7: a call under one that failed names no error of its own, and moved nothing."""

    def all_below(top: traces.Frame) -> Iterator[traces.Frame]:
        for frame in top.calls:
            yield frame
            yield from all_below(frame)

    patch.setattr(traces, "_standing_below", all_below)


def give_all_to_the_present_holder(patch: pytest.MonkeyPatch) -> None:
    """I9: money belongs to whoever held the address in its block, and not to whoever holds it when it is seen."""

    def present(tx: Any, catalogue: object, row: Any, family: Any) -> tuple[Any, Any]:
        loaded = loading.load(tx, holdings.present(tx, family, row.address).invoice_id)
        return loaded, loaded

    patch.setattr(arrivals, "attribute", present)


def forget_who_may_be_paid_late(patch: pytest.MonkeyPatch) -> None:
    """I10: as long as an earlier holder is watched, only amounts tell two payers apart."""
    patch.setattr(carousel, "_waiting", lambda *args: [])


def give_nobody_what_comes_while_another_waits(patch: pytest.MonkeyPatch) -> None:
    """I1: the exact amount tells enough."""
    patch.setattr(Holding, "is_settled_by", lambda self, units: False)


def begin_a_turn_where_one_provider_dates_a_block(patch: pytest.MonkeyPatch) -> None:
    """A date in the future makes everybody's money unclear until then."""
    patch.setattr(addresses, "CLOCK_SLACK", timedelta(days=1))


MUTANTS = [
    Mutant(
        "search only since the last agreement",
        search_only_since_the_last_agreement,
        scenarios.a_token_is_paid_below_a_cursor_that_a_stale_look_moved_past_it,
    ),
    Mutant(
        "search coins only since the last agreement",
        search_only_since_the_last_agreement,
        scenarios.a_coin_is_paid_below_a_cursor_that_a_stale_look_moved_past_it,
    ),
    Mutant(
        "trust the pin without its context",
        trust_the_pin_without_its_context,
        scenarios.the_look_comes_from_before_a_payment_when_the_deadline_passes,
    ),
    Mutant(
        "void above the checkpoint",
        void_above_the_checkpoint,
        scenarios.three_blocks_are_replaced_far_above_a_payment_that_was_just_seen,
    ),
    Mutant(
        "add to inferred rows", add_to_inferred_rows, scenarios.stale_state_puts_a_contracts_coins_into_a_later_block
    ),
    Mutant("book sweeps from the plan", book_sweeps_from_the_plan, scenarios.coins_are_swept_after_a_loan_and_dust),
    Mutant("key on tx hash", key_on_tx_hash, scenarios.one_transaction_pays_two_invoices_and_one_of_them_twice),
    Mutant(
        "key on tx hash and log index",
        key_on_tx_hash_and_log_index,
        scenarios.a_payment_is_mined_again_in_another_block,
    ),
    Mutant(
        "jump to the head after an outage",
        jump_to_the_head_after_an_outage,
        scenarios.payments_come_during_an_outage_of_hours,
    ),
    Mutant("expire on a blind chain", expire_on_a_blind_chain, scenarios.payments_come_during_an_outage_of_hours),
    Mutant(
        "ignore the status of transactions",
        ignore_the_status_of_transactions,
        scenarios.a_failed_transaction_stands_beside_a_contracts_payment_of_the_same_value,
    ),
    Mutant(
        "ignore addresses with code",
        ignore_addresses_with_code,
        scenarios.a_stranger_sweeps_a_payment_that_no_look_has_shown,
        scenarios.CAPPED,
    ),
    Mutant(
        "follow the first provider's chain",
        follow_the_first_providers_chain,
        scenarios.a_provider_follows_a_fork_for_longer_than_the_horizon,
    ),
    Mutant(
        "expire on one provider's word",
        expire_on_one_providers_word,
        scenarios.a_provider_follows_a_fork_without_a_payment_when_the_deadline_passes,
    ),
    Mutant(
        "credit traces with failed ancestors",
        credit_traces_with_failed_ancestors,
        scenarios.a_call_that_failed_would_have_paid_what_a_withdrawal_brought,
    ),
    Mutant(
        "give all to the present holder",
        give_all_to_the_present_holder,
        turns.the_one_before_is_paid_late_when_another_has_its_address,
    ),
    Mutant(
        "forget who may be paid late",
        forget_who_may_be_paid_late,
        turns.the_one_before_is_paid_late_when_another_has_its_address,
    ),
    Mutant(
        "give nobody what comes while another waits",
        give_nobody_what_comes_while_another_waits,
        turns.the_one_before_is_paid_late_when_another_has_its_address,
    ),
    Mutant(
        "begin a turn where one provider dates a block",
        begin_a_turn_where_one_provider_dates_a_block,
        turns.a_provider_dates_the_newest_block_in_the_future_before_an_invoice_is_made,
    ),
]
