"""A real chain for the length of a test: anvil on a free loopback port.

It dies with the test, whatever happens to the test. The chain is handed over
at block 1, because anvil runs calls at its genesis in the year 1970. Where
anvil is kinder than life: a reorg drops transactions, a missing block is an
error rather than an empty answer, log ranges have no limit.
"""

import ctypes
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from tests.lab.client import Lab
from tests.lab.solc import LAB, SET_UP

BINARY = LAB / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
BOOT_SECONDS = 120  # takes 0.1 to 0.7 on a quiet machine
LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@asynccontextmanager
async def anvil(
    *,
    chain_id: int = 31337,
    block_time_seconds: int | None = None,
    is_mining: bool = True,
    hardfork: str = "prague",
    slots_in_an_epoch: int = 4,
    timestamp: int | None = None,
    more: tuple[str, ...] = (),
) -> AsyncIterator[Lab]:
    """A fresh chain and a `Lab` talking to it.

    By default every transaction is mined at once in its own block. With
    `is_mining=False` only `Lab.mine` makes blocks.
    """
    if not BINARY.exists():
        raise FileNotFoundError(f"no anvil: {SET_UP}")
    command = [str(BINARY), "--host", "127.0.0.1", "--port", "0", "--chain-id", str(chain_id)]
    command += ["--hardfork", hardfork, "--slots-in-an-epoch", str(slots_in_an_epoch)]
    if block_time_seconds is not None:
        command += ["--block-time", str(block_time_seconds)]
    if not is_mining:
        command += ["--no-mining"]
    if timestamp is not None:
        command += ["--timestamp", str(timestamp)]
    with tempfile.TemporaryDirectory(prefix="paynode-anvil-") as home:
        log = Path(home) / "log"
        with log.open("wb") as out:
            # Started on this very thread: the kernel's death signal follows the thread that forked,
            # and the worker threads of trio.open_process come and go.
            process = subprocess.Popen(  # noqa: ASYNC220
                [*command, *more],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=home,
                env={"HOME": home, "PATH": os.environ["PATH"]},
                preexec_fn=_die_with_parent,
            )
        try:
            port = await _port(process, log)
            async with Lab.connect(f"http://127.0.0.1:{port}", chain_id=chain_id) as lab:
                await lab.mine()
                yield lab
        finally:
            process.kill()
            process.wait()


async def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    with trio.fail_after(BOOT_SECONDS):
        while process.poll() is None:
            if found := LISTENING.search(_text(log)):
                return int(found[1])
            await trio.sleep(0.01)
    raise RuntimeError(f"anvil stopped at once: {_text(log)[-1000:]}")


def _text(log: Path) -> str:
    return log.read_text(errors="replace")
