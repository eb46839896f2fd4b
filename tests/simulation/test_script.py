"""Scripts: the same again from the same seed, and cut to what makes them fail."""

from collections.abc import Sequence

from tests.simulation.script import HOUR, SETTLE, Act, shortest, written

RATES = {"pays": 3.0, "lies": 0.5}


def test_a_seed_writes_its_script_again() -> None:
    script = written(7, 12, RATES, settle_hours=6)
    assert script == written(7, 12, RATES, settle_hours=6) != written(8, 12, RATES, settle_hours=6)
    assert sum(act.kind == "pays" for act in script) == 36
    assert [act.at for act in script if act.kind == SETTLE] == [6 * HOUR, 12 * HOUR]
    assert [act.at for act in script] == sorted(act.at for act in script)


def test_what_does_not_make_a_script_fail_is_left_out() -> None:
    script = [Act(at, "pays", at) for at in range(100)]

    def is_failing(part: Sequence[Act]) -> bool:
        return {3, 50, 51} <= {act.at for act in part}

    assert [act.at for act in shortest(script, is_failing)] == [3, 50, 51]


def test_shortening_stops_after_so_many_tries() -> None:
    script, tries = [Act(at, "pays", at) for at in range(100)], 0

    def is_failing(part: Sequence[Act]) -> bool:
        nonlocal tries
        tries += 1
        return len(part) == len(script)

    assert shortest(script, is_failing, tries_max=5) == script
    assert tries == 5
