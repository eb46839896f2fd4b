"""A service on a full disk waits for room and begins anew; any other trouble ends it."""

from itertools import pairwise

import apsw
import pytest
import trio
import trio.testing

from paynode.daemon import FULL_DISK_SECONDS, _outlast


async def test_a_service_goes_on_once_there_is_room(autojump_clock: trio.testing.MockClock) -> None:
    begun: list[float] = []

    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        begun.append(trio.current_time())
        task_status.started()
        if len(begun) == 1:
            raise apsw.FullError("database or disk is full")
        async with trio.open_nursery():
            if len(begun) == 2:
                raise apsw.FullError("database or disk is full")

    async with trio.open_nursery() as nursery:
        await nursery.start(_outlast, service)
    assert [after - before for before, after in pairwise(begun)] == [FULL_DISK_SECONDS] * 2


async def test_a_broken_disk_ends_a_service() -> None:
    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        raise apsw.IOError("disk I/O error")

    with pytest.raises(apsw.IOError):
        await _outlast(service)
