"""Each rule of detection has a history that ends right with it, and wrong without it."""

from inspect import getmembers, iscoroutinefunction
from pathlib import Path

import pytest
from tests.simulation import scenarios
from tests.simulation.checker import Violation
from tests.simulation.life import Setting, live
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.scenarios import CAPPED, CROWDED, STEPS, TWO_PROVIDERS, Scenario
from tests.simulation.script import HOUR

SCENARIOS = [each for _, each in getmembers(scenarios, iscoroutinefunction) if each not in STEPS]


@pytest.mark.parametrize("setting", [TWO_PROVIDERS, CROWDED, CAPPED], ids=["few", "many", "capped"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_came_is_credited_once_and_the_books_are_the_chain(
    tmp_path: Path, scenario: Scenario, setting: Setting
) -> None:
    live(tmp_path, setting, scenario)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_its_rule_a_history_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    mutant.take_out(monkeypatch)
    with pytest.raises(Violation):
        live(tmp_path, mutant.setting, mutant.scenario, patience_seconds=HOUR)
