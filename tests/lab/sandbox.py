"""A whole simulated node beside the test, in a thread of this process, for what talks to it over HTTP."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

import structlog
import trio
from tests.lab.shop import make_key, open_shop, sim_config

from paynode import daemon
from paynode.cli.branches import branches
from paynode.config import Config
from paynode.domain.scopes import STORE_SCOPES
from paynode.operations import startup
from paynode.store import database as databases


@dataclass(frozen=True)
class Sandbox:
    """Where a running node answers, and a key to it."""

    url: str
    key: str


def make(folder: Path, toml: str) -> tuple[Config, str]:
    """The config and a new key of a node that is not up yet. `toml` begins within the table `[node]`."""
    config = sim_config(folder, f'listen = ["127.0.0.1:0"]\n{toml}')
    databases.create(config.node.database)
    now = datetime.now(UTC)
    shop = open_shop(config, database=databases.open(config.node.database), now=now)
    shop.database.write(startup.sync, config, branches(config), now)
    key = make_key(shop, STORE_SCOPES, now=now)
    shop.database.close()
    return config, key


@contextmanager
def running(folder: Path, toml: str) -> Iterator[Sandbox]:
    """A sandbox that is up."""
    config, key = make(folder, toml)
    up: Queue[tuple[str, trio.lowlevel.TrioToken, trio.Event]] = Queue()

    async def live() -> None:
        stop = trio.Event()
        async with trio.open_nursery() as nursery:

            async def start(task_status: trio.TaskStatus[object]) -> None:
                await daemon.serve(config, stop=stop, task_status=task_status)

            (url,) = await nursery.start(start)
            up.put((url, trio.lowlevel.current_trio_token(), stop))

    # What is printed in this process is what a command under test says.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    thread = threading.Thread(target=trio.run, args=[live], daemon=True)
    thread.start()
    url, token, stop = up.get(timeout=120)
    try:
        yield Sandbox(url, key)
    finally:
        token.run_sync_soon(stop.set)
        thread.join()
        structlog.reset_defaults()
