"""The frozen program as a stranger's machine runs it: an empty environment, no Python, its own temporary folder."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trio
from tests.lab.anvil import _die_with_parent

PROGRAM = Path(__file__).parents[2] / "dist" / "paynode"
KEY = re.compile(r"pn_\w+")
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
WAIT_SECONDS = 60.0  # for what a healthy node does within a few
POLL_SECONDS = 0.005

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with the config, the data and the unpacked program."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "paynode.toml"

    @property
    def unpacked(self) -> list[Path]:
        """What the running programs have unpacked."""
        return list(self._tmp.iterdir())

    @property
    def environ(self) -> Mapping[str, str]:
        return {"TMPDIR": str(self._tmp), "NOTIFY_SOCKET": str(self.folder / "notify")}

    @property
    def _tmp(self) -> Path:
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    def paynode(self, *arguments: str) -> str:
        """What a command prints; it must succeed and leave nothing unpacked."""
        done = subprocess.run(
            [program(), *arguments],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"paynode {' '.join(arguments)}: {done.stdout}{done.stderr}"
        assert self.unpacked == []
        return done.stdout

    def init(self, *arguments: str) -> str:
        """Set up a node; returns its first API key."""
        found = KEY.search(self.paynode("init", "-c", str(self.config), *arguments))
        assert found is not None, "init prints the first key"
        return found[0]


@dataclass(frozen=True, slots=True)
class Daemon:
    """`paynode run`: the process that unpacked the program, and its child, which is the node."""

    home: Home
    process: subprocess.Popen[bytes]
    manager: socket.socket  # as systemd holds it
    client: httpx.AsyncClient
    first_answer_seconds: float

    @property
    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def is_gone(self, pids: Sequence[int]) -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in pids)

    @property
    def pss_mib(self) -> float:
        """The memory of both processes, shared pages by their share."""
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids]
        kib = [int(size) for rollup in rollups for size in re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)]
        assert len(kib) == len(rollups) == 2
        return sum(kib) / 1024

    async def settled_pss_mib(self) -> float:
        """The memory once it no longer grows: what is imported late has been."""
        before, now = 0.0, self.pss_mib
        while now > before * 1.01:
            await trio.sleep(2)
            before, now = now, self.pss_mib
        return now

    async def until(self, is_so: Callable[[Json], bool], path: str) -> Json:
        """What the path gives, once it is so."""
        with trio.fail_after(WAIT_SECONDS):
            while True:
                found = await self.get(path)
                if is_so(found):
                    return found
                await trio.sleep(0.1)

    async def told(self, what: str) -> str:
        """The next message to systemd that holds this line."""
        with trio.fail_after(START_SECONDS_MAX):
            while True:
                try:
                    message = self.manager.recv(1000).decode()
                except BlockingIOError:
                    await trio.sleep(POLL_SECONDS)
                    continue
                if what in message.split("\n"):
                    return message

    async def get(self, path: str) -> Json:
        return self._found(await self.client.get(path))

    async def post(self, path: str, body: Json) -> Json:
        return self._found(await self.client.post(path, json=body))

    @staticmethod
    def _found(answer: httpx.Response) -> Json:
        assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    def stop(self, pids: Sequence[int]) -> int:
        """SIGTERM to these; the exit code, which must come soon."""
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        return self.process.wait(STOP_SECONDS_MAX)

    @property
    def log(self) -> str:
        return (self.home.folder / "log").read_text()


def program() -> Path:
    if not PROGRAM.exists():
        raise FileNotFoundError(f"{PROGRAM} is not there: run packaging/build first")
    return PROGRAM


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@asynccontextmanager
async def running(home: Home, port: int, key: str) -> AsyncIterator[Daemon]:
    """The daemon on that port, once it has answered `/v1/status` with 200."""
    headers = {"Authorization": f"Bearer {key}"}
    with (home.folder / "log").open("ab") as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(home.environ["NOTIFY_SOCKET"])
        manager.setblocking(False)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            begun = time.monotonic()
            process = subprocess.Popen(  # noqa: ASYNC220 - the kernel's death signal follows the thread that forked
                [program(), "run", "-c", home.config],
                env=home.environ,
                cwd=home.folder,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
            try:
                await _until_answered(process, client, home)
                yield Daemon(home, process, manager, client, time.monotonic() - begun)
            finally:
                process.terminate()  # the child is told too; killing would orphan it
                process.wait(STOP_SECONDS_MAX)


async def _until_answered(process: subprocess.Popen[bytes], client: httpx.AsyncClient, home: Home) -> None:
    with trio.fail_after(START_SECONDS_MAX):
        while True:
            assert process.poll() is None, f"it ended: {(home.folder / 'log').read_text()}"
            try:
                answer = await client.get("/v1/status")
            except httpx.TransportError:
                await trio.sleep(POLL_SECONDS)
                continue
            assert answer.status_code == 200, answer.text
            return
