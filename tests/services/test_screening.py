"""The screening service: lists are read when their files change, and a broken one leaves the last good one in force."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from tests.lab.simnode import TWO_NETWORKS, SimNode

from paynode.chains.evm.wire import parse_address
from paynode.chains.sim import keys
from paynode.domain.screening import Finding, Verdict
from paynode.services import screening
from paynode.services.screening import Screener
from paynode.store import screening as rows

EVM = "0x7F367cC41522cE07553e823bf3be79A889DEbe1B"
DOLLAR = 10**6
BAD, WORSE, GOOD = ("sim1" + digits * 20 for digits in ("bd", "be", "aa"))


def write(path: Path, content: str) -> None:
    path.write_text(content)


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def list_(tmp_path: Path) -> Path:
    path = tmp_path / "deny.txt"
    write(path, BAD)
    return path


@pytest.fixture
async def node(tmp_path: Path, list_: Path) -> SimNode:
    node = SimNode(tmp_path, f'{TWO_NETWORKS}\n[screening]\ndeny_files = ["deny.txt"]\n')
    await node.look()
    return node


def screener(node: SimNode, *parsers: Callable[[str], str]) -> Screener:
    return Screener(node.database, node.catalogue, parsers or [keys.parse_address], node.clock)


def known(node: SimNode) -> set[str]:
    return {address for (address,) in node.rows("select address from screening_addresses")}


def problem(node: SimNode) -> str | None:
    (record,) = node.database.read(rows.lists)
    return record.problem


async def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(node: SimNode, list_: Path) -> None:
    service = screener(node)
    await service.one_round()
    node.run("delete from screening_addresses")
    await service.one_round()
    assert known(node) == set()
    write(list_, f"{BAD}\n{WORSE}")
    await service.one_round()
    assert known(node) == {BAD, WORSE}


async def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_told(node: SimNode, list_: Path) -> None:
    service = screener(node)
    await service.one_round()
    for content in ("", "<html>", f"{BAD}\n0x12"):
        write(list_, content)
        await service.one_round()
        assert known(node) == {BAD}
        assert problem(node) is not None
    remove(list_)
    await service.one_round()
    assert (known(node), problem(node)) == ({BAD}, "cannot be read: No such file or directory")
    assert node.events("screening") == ["screening_lists.degraded"]
    write(list_, WORSE)
    await service.one_round()
    assert (known(node), problem(node)) == ({WORSE}, None)
    assert node.events("screening") == ["screening_lists.degraded", "screening_lists.recovered"]


async def test_a_list_that_shrinks_to_less_than_half_is_taken_for_a_part_of_one(node: SimNode, list_: Path) -> None:
    addresses = [f"sim1{number:040x}" for number in range(100)]
    write(list_, "\n".join(addresses))
    service = screener(node)
    await service.one_round()
    write(list_, "\n".join(addresses[:40]))
    await service.one_round()
    assert (len(known(node)), problem(node)) == (
        100,
        "has 40 addresses and had 100: it looks like a part of a file",
    )
    write(list_, "\n".join(addresses[:60]))
    await service.one_round()
    assert (len(known(node)), problem(node)) == (60, None)


async def test_an_address_is_known_in_whatever_capitals_a_list_writes_it(node: SimNode, list_: Path) -> None:
    upper = EVM[2:].upper()
    for number, written in enumerate([EVM, EVM.lower(), f"0x{upper}", f"0X{upper}", f"0x{EVM[2:].swapcase()}"]):
        write(list_, f"{written}\n{'#' * number}")
        await screener(node, keys.parse_address, parse_address).one_round()
        assert known(node) == {EVM}, written


async def test_after_a_restart_the_last_good_list_is_still_in_force(node: SimNode, list_: Path) -> None:
    await screener(node).one_round()
    write(list_, "half of a fi")
    node.restart()
    await screener(node).one_round()
    assert known(node) == {BAD}


async def test_a_list_that_left_the_config_is_forgotten(node: SimNode) -> None:
    await screener(node).one_round()
    later = SimNode(node.config.path.parent, TWO_NETWORKS, database=node.database)
    screener(later)
    assert (known(later), later.database.read(rows.lists)) == (set(), [])


async def test_a_file_that_was_only_written_again_is_fresh_again(node: SimNode, list_: Path, tmp_path: Path) -> None:
    node = SimNode(
        tmp_path, f'{TWO_NETWORKS}\n[screening]\ndeny_files = ["deny.txt"]\nmax_age = "1d"\nrequired = true\n'
    )
    await node.look()
    seconds = int(node.clock().timestamp())
    os.utime(list_, (seconds - 90_000, seconds - 90_000))
    service = screener(node)
    await service.one_round()
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR, sender=GOOD)
    await node.mine(4)
    await service.one_round()
    assert node.states(invoice_id) == ("confirming", "exact")
    assert node.events("screening") == ["screening_lists.degraded"]
    os.utime(list_, (seconds, seconds))
    await service.one_round()
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.events("screening") == ["screening_lists.degraded", "screening_lists.recovered"]


async def test_a_new_deposit_wakes_it(node: SimNode) -> None:
    invoice_id = node.create("10")
    run = partial(screening.run, node.database, node.catalogue, [keys.parse_address], clock=node.clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run, beat=lambda: None))
        await trio.testing.wait_all_tasks_blocked()
        node.pay(invoice_id, 10 * DOLLAR, sender=GOOD)
        await node.mine(3)
        with trio.fail_after(60):
            while node.states(invoice_id) != ("paid", "exact"):
                await trio.testing.wait_all_tasks_blocked()
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


class Knowing:
    """Somebody who knows something against everybody."""

    name = "them"

    async def screen(self, network: str, senders: Sequence[str]) -> Finding:
        return Finding(Verdict.FLAGGED, self.name, f"they know {len(senders)} of {network}")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_whoever_is_asked_from_now_on_is_asked_about_what_is_not_collected_yet(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.look()
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    assert [each.screening for each in node.deposits(invoice_id)] == ["not_screened"]
    sources = {"alpha": [Knowing()]}
    service = Screener(node.database, node.catalogue, [keys.parse_address], node.clock, sources)
    await service.one_round()
    assert [(each.screening, each.is_held) for each in node.deposits(invoice_id)] == [("flagged", True)]
    assert node.states(invoice_id) == ("paid", "exact")
    node.check()
