"""`paynode rescan`: what is to be read again is queued, once, and the next ticks read it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.cli.commands import make_sim_node, paynode, worked

from paynode.chains.sim import keys
from paynode.chains.sim.adapter import SimChain
from paynode.chains.sim.world import World
from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import opened
from paynode.config import load_config
from paynode.operations.catalogue import Catalogue
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.services import scanner
from paynode.store.database import Database

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLOSED = "update watches set is_closed = 1, floor = 5 where invoice_id = ?"


@contextmanager
def data(folder: Path) -> Iterator[tuple[Database, Catalogue]]:
    with opened(load_config(folder / "paynode.toml", environ={})) as both:
        yield both


def derive(family: str, account: int, index: int) -> str:
    return keys.deposit_address(account, index)


@pytest.fixture
def world() -> World:
    return World("sim_sim", lambda: NOW)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    """A node that has looked at its network and issued two addresses, of which one is watched no longer."""
    make_sim_node(tmp_path)
    look(tmp_path, world)
    with data(tmp_path) as (database, catalogue):
        store_id = next(iter(catalogue.store_keys))
        for _ in range(2):
            command = CreateInvoice(Decimal(10), "USDT", ["sim_usdt"], provision=True)
            made = database.write(create_invoice, catalogue, store_id, command, derive, NOW).loaded
        database.write(lambda tx: tx.run(CLOSED, (made.record.id,)))
    return tmp_path


def look(folder: Path, world: World) -> None:
    """One tick of the daemon."""
    with data(folder) as (database, catalogue):
        trio.run(scanner.tick, database, catalogue, SimChain("sim", world, confirmations=2), lambda: NOW)


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with data(folder) as (database, _):
        return database.read(lambda tx: tx.rows(sql))


def closed_one(folder: Path) -> tuple[str, str]:
    """Invoice and address of what is watched no longer."""
    ((invoice_id, address),) = rows(folder, "select invoice_id, address from watches where is_closed = 1")
    return invoice_id, address


def test_the_watched_addresses_are_queued_once_and_served_by_the_next_tick(folder: Path, world: World) -> None:
    for _ in range(2):
        assert worked(paynode(folder, "rescan")) == "sim: 1 address to be read again\n"
    assert rows(folder, "select network, is_deep from checks") == [("sim", 1)]
    look(folder, world)
    assert rows(folder, "select * from checks") == []


def test_what_is_watched_no_longer_is_read_too_if_asked_for_and_its_money_is_found(folder: Path, world: World) -> None:
    _, address = closed_one(folder)
    world.pay(address, "sim_usdt", 10_000_000)
    for _ in range(8):
        world.mine()
    look(folder, world)
    assert rows(folder, "select * from deposits") == []
    assert worked(paynode(folder, "rescan", "--closed")) == "sim: 2 addresses to be read again\n"
    look(folder, world)
    shown = json.loads(worked(paynode(folder, "rescan", "--network", "sim", "--closed", "--from", "1", "--json")))
    assert shown == [{"network": "sim", "addresses": 2, "from_block": 1}]
    look(folder, world)
    assert rows(folder, "select units from deposits") == [("10000000",)]


def test_a_floor_is_lowered_and_never_raised(folder: Path) -> None:
    def floors() -> list[tuple[Any, ...]]:
        return rows(folder, "select floor from watches where invoice_id is not null order by is_closed")

    worked(paynode(folder, "rescan", "--network", "sim", "--closed", "--from", "4"))
    assert floors() == [(0,), (3,)]
    worked(paynode(folder, "rescan", "--network", "sim", "--closed", "--from", "9"))
    assert floors() == [(0,), (3,)]


def test_an_invoice_is_watched_again(folder: Path) -> None:
    invoice_id, _ = closed_one(folder)
    assert worked(paynode(folder, "rescan", "--invoice", invoice_id)) == "sim: 1 address to be read again\n"
    ((until, is_closed),) = rows(
        folder, f"select watch_until, is_closed from watches where invoice_id = '{invoice_id}'"
    )
    assert is_closed == 0
    assert until > (datetime.now(UTC) + timedelta(hours=23)).timestamp() * 1000


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--from", "5"), ExitCode.USAGE, "--network"),
        (("--from", "-1", "--network", "sim"), ExitCode.USAGE, "--from"),
        (("--network", "eth"), ExitCode.PROBLEM, "There is no network eth here, only sim."),
        (("--invoice", "inv_1"), ExitCode.PROBLEM, "No such invoice."),
    ],
)
def test_what_cannot_be_read_again_is_refused(
    folder: Path, arguments: tuple[str, ...], code: ExitCode, said: str
) -> None:
    result = paynode(folder, "rescan", *arguments)
    assert (result.exit_code, said in result.output) == (code, True), result.output
    assert rows(folder, "select * from checks") == []


@pytest.mark.parametrize("number", ["-1", str(2**63), "9" * 40])
def test_a_number_that_no_block_has_is_refused(tmp_path: Path, number: str) -> None:
    make_sim_node(tmp_path)
    assert paynode(tmp_path, "rescan", "--network", "sim", "--from", number).exit_code == ExitCode.USAGE
