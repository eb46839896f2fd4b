"""Detection at random: thousands of hours of customers, strangers, reorganisations, lying providers and crashes.

Goal: nothing is missed, nothing is credited twice, at no commit a client can see. Method: the product's own tick,
operations and store over chains in memory, whose truth the checker reads past every provider.

In half of the lives addresses serve one invoice after another: then nothing counts for an invoice for which its payer
did not mean it, unless that one had nothing to ask for any more.

A life is repeated by its seed, which a failure prints together with the shortest script that still fails:

    PAYNODE_SIMULATION_SEED=123 .venv/bin/pytest -m soak tests/simulation/test_detection.py -k certain
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.simulation.acts import ACTS
from tests.simulation.checker import Violation
from tests.simulation.life import Life, Setting, live
from tests.simulation.script import Act, shortest, written

HOURS, SETTLE_HOURS = 24, 6
RATES = {name: kind.per_hour for name, kind in ACTS.items()}
SEEDS = range(1, 10)
SOAK_SEEDS = range(1000, 1000 + 10_000 // HOURS + 1)
CERTAIN_SEED = int(os.environ.get("PAYNODE_SIMULATION_SEED", "0"))


def live_through(folder: Path, seed: int) -> None:
    acts = written(seed, HOURS, RATES, SETTLE_HOURS)
    print(f"PAYNODE_SIMULATION_SEED={seed}", Setting.of(seed))
    if (violation := broken_by(folder, seed, acts)) is not None:
        short = shortest(acts, lambda part: broken_by(folder, seed, part) is not None)
        history = "\n".join(map(str, short))
        pytest.fail(
            f"seed {seed}: {violation}\n\nthe shortest that fails:\n{history}\n{broken_by(folder, seed, short)}"
        )


def broken_by(folder: Path, seed: int, acts: Sequence[Act]) -> Violation | None:
    async def play(life: Life) -> None:
        await life.follow(acts)

    try:
        live(folder, Setting.of(seed), play)
    except Violation as violation:
        return violation
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_every_payment_is_credited_once_whatever_happens(tmp_path: Path, seed: int) -> None:
    live_through(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_every_payment_is_credited_once_for_ten_thousand_hours(tmp_path: Path, seed: int) -> None:
    live_through(tmp_path, seed)


@pytest.mark.soak
def test_every_payment_is_credited_once_in_a_certain_life(tmp_path: Path) -> None:
    live_through(tmp_path, CERTAIN_SEED)
