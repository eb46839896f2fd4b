"""Each rule of detection, and of the carousel, has a history that ends right with it, and wrong without it."""

from inspect import getmembers, iscoroutinefunction
from pathlib import Path

import pytest
from tests.simulation import scenarios, turns
from tests.simulation.checker import Violation
from tests.simulation.life import Setting, live
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.scenarios import CAPPED, CROWDED, STEPS, TWO_PROVIDERS, Scenario
from tests.simulation.script import HOUR

SCENARIOS = [each for _, each in getmembers(scenarios, iscoroutinefunction) if each not in STEPS]
TURNS = [each for _, each in getmembers(turns, iscoroutinefunction) if each not in {*STEPS, *turns.STEPS}]


@pytest.mark.parametrize("setting", [TWO_PROVIDERS, CROWDED, CAPPED], ids=["few", "many", "capped"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_came_is_credited_once_and_the_books_are_the_chain(
    tmp_path: Path, scenario: Scenario, setting: Setting
) -> None:
    live(tmp_path, setting, scenario)


@pytest.mark.parametrize("scenario", TURNS, ids=lambda scenario: scenario.__name__)
def test_whoever_has_an_address_in_turn_is_credited_with_what_was_meant_for_it(
    tmp_path: Path, scenario: Scenario
) -> None:
    live(tmp_path, TWO_PROVIDERS, scenario)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_its_rule_a_history_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    mutant.take_out(monkeypatch)
    with pytest.raises(Violation):
        live(tmp_path, mutant.setting, mutant.scenario, patience_seconds=HOUR)
