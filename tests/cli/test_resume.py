"""`paynode resume`: pauses are shown, then acknowledged."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.commands import make_sim_node, paynode, worked

from paynode.cli.opening import opened
from paynode.cli.problems import Failure
from paynode.cli.resume import acknowledge
from paynode.config import load_config
from paynode.operations import outflows
from paynode.store import outgoing
from paynode.store.outgoing import PauseRecord

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_sim_node(tmp_path)
    return tmp_path


def pause(folder: Path, reason: str, method: str = "") -> None:
    with opened(load_config(folder / "paynode.toml", environ={})) as (database, catalogue):
        database.write(outflows.pause, catalogue, "sim", method, reason, NOW)


def open_pauses(folder: Path) -> list[PauseRecord]:
    with opened(load_config(folder / "paynode.toml", environ={})) as (database, _):
        return database.read(outgoing.pauses)


def test_every_pause_is_shown_with_its_reason_andacknowledged(folder: Path) -> None:
    pause(folder, "the books do not balance")
    pause(folder, "a second reason", "sim_usdt")
    shown = worked(paynode(folder, "resume"))
    assert "sim: everything paused since 2026-01-02T03:04:05.000Z: the books do not balance" in shown
    assert "sim: sim_usdt paused since" in shown
    assert open_pauses(folder) == []
    assert worked(paynode(folder, "resume")) == "Nothing is paused.\n"


def test_json_lists_what_wasacknowledged(folder: Path) -> None:
    pause(folder, "the books do not balance")
    (shown,) = json.loads(worked(paynode(folder, "resume", "--json")))
    assert shown["reason"] == "the books do not balance"
    assert json.loads(worked(paynode(folder, "resume", "--json"))) == []


def test_a_pause_that_nobody_has_seen_is_notacknowledged(folder: Path) -> None:
    pause(folder, "seen")
    seen = open_pauses(folder)
    pause(folder, "came meanwhile", "sim_usdt")
    with opened(load_config(folder / "paynode.toml", environ={})) as (database, catalogue), pytest.raises(Failure):
        database.write(acknowledge, catalogue, seen)
    assert len(open_pauses(folder)) == 2
