"""The watchdog against a real datagram socket, as systemd holds it."""

import os
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from paynode.domain.progress import Progress
from paynode.services import watchdog
from paynode.services.watchdog import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        yield manager


def heard(manager: socket.socket) -> list[str]:
    """Every message since the last time, its lines as one text."""
    messages = []
    while True:
        try:
            messages.append(manager.recv(1000).decode().replace("\n", " "))
        except BlockingIOError:
            return messages


def notifier_of(manager: socket.socket) -> Notifier:
    return Notifier.from_environ({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000000"})


async def watching(manager: socket.socket, progress: Progress, *, task_status: trio.TaskStatus[None]) -> None:
    urls = ["http://127.0.0.1:8080"]
    await watchdog.run(progress, urls, notifier=notifier_of(manager), task_status=task_status)


WORKING = "STATUS=Working; listening on http://127.0.0.1:8080"


async def test_systemd_hears_ready_then_a_beat_twice_in_the_time_it_waits_then_stopping(
    systemd: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(watching, systemd, Progress(trio.current_time))
        await trio.sleep(25)
        assert heard(systemd) == [f"READY=1 {WORKING}", *[f"WATCHDOG=1 {WORKING}"] * 3]
        nursery.cancel_scope.cancel()
    await watchdog.stopping(notifier_of(systemd))
    assert heard(systemd) == ["STOPPING=1 STATUS=Stopping"]


async def test_a_loop_that_hangs_withholds_the_watchdog_and_is_named(
    systemd: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    progress = Progress(trio.current_time)
    async with trio.open_nursery() as nursery:
        beat = progress.beater("scanner:eth", 15)
        progress.beater("webhooks", 1000)
        await nursery.start(watching, systemd, progress)
        await trio.sleep(15)
        assert f"WATCHDOG=1 {WORKING}" in heard(systemd)
        await trio.sleep(20)
        assert heard(systemd) == ["STATUS=No progress: scanner:eth"] * 2
        beat()
        await trio.sleep(10)
        assert heard(systemd) == [f"WATCHDOG=1 {WORKING}"]
        nursery.cancel_scope.cancel()


async def test_an_abstract_socket_is_reached() -> None:
    name = f"paynode-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.setblocking(False)
        await Notifier(f"@{name}").send("READY=1")
        assert heard(manager) == ["READY=1"]


def test_a_watchdog_meant_for_another_process_sets_no_pace(tmp_path: Path) -> None:
    ours = {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier.from_environ(ours).interval_seconds == 5
    others = ours | {"WATCHDOG_PID": "1"}
    assert Notifier.from_environ(others).interval_seconds == watchdog.INTERVAL_SECONDS


async def test_without_systemd_the_loop_runs_and_nothing_is_sent(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(watchdog.run, Progress(trio.current_time), [], notifier=Notifier.from_environ({})))
        await trio.sleep(60)
        nursery.cancel_scope.cancel()


async def test_a_service_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    await Notifier(str(tmp_path / "gone")).send("WATCHDOG=1")
