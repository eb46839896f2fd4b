"""Nodes to measure: `paynode run` as a process of its own, from source or frozen, and the configs they run on."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.lab.anvil import _die_with_parent, anvil
from tests.lab.client import Deployed, Lab
from tests.lab.node import MNEMONIC, TREASURY

SOURCE = (sys.executable, "-m", "paynode")
PROGRAM = Path(__file__).parents[2] / "dist" / "paynode"
FROZEN = (str(PROGRAM),)
FIRST_CHAIN_ID = 31337
KEY = re.compile(r"pn_\w+")
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
POLL_SECONDS = 0.002  # an error of the start time
LOOK_SECONDS = 0.05


@dataclass
class BenchNode:
    """One node in a folder of its own, set up and not yet running."""

    folder: Path
    port: int
    key: str
    command: Sequence[str] = SOURCE
    process: subprocess.Popen[bytes] | None = None
    launched: float = 0.0

    @property
    def config(self) -> Path:
        return self.folder / "paynode.toml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text(errors="replace")

    def launch(self) -> None:
        """Start the daemon, without waiting for it."""
        with (self.folder / "node.log").open("ab") as log:
            self.launched = time.perf_counter()
            self.process = subprocess.Popen(
                [*self.command, "run", "-c", str(self.config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PAYNODE_LOG": "warning"},
                preexec_fn=_die_with_parent,
            )

    def wait_for_answer(self) -> float:
        """Seconds from the launch to the first 200 of `GET /v1/status`."""
        request = f"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n\r\n".encode()
        while time.perf_counter() - self.launched < START_SECONDS_MAX:
            assert self.process is not None, "it was launched"
            assert self.process.poll() is None, f"the node has ended: {self.log[-3000:]}"
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS_MAX) as probe:
                    probe.sendall(request)
                    if probe.recv(65536).startswith(b"HTTP/1.1 200"):
                        return time.perf_counter() - self.launched
            except OSError:
                pass  # not up yet
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"no answer within {START_SECONDS_MAX:.0f} s: {self.log[-3000:]}")

    def start(self) -> None:
        """Start the daemon and wait until it follows every network."""
        self.launch()
        self.wait_until_watching()

    def wait_until_watching(self) -> None:
        self.wait_for_answer()
        while time.perf_counter() - self.launched < START_SECONDS_MAX:
            if httpx.get(f"{self.url}/v1/status", trust_env=False).json()["watching"]:
                return
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"it follows nothing within {START_SECONDS_MAX:.0f} s: {self.log[-3000:]}")

    def stop(self) -> None:
        """SIGTERM; it must end well."""
        assert self.process is not None, "it was launched"
        self.process.terminate()
        code = self.process.wait(STOP_SECONDS_MAX)
        assert code == 0, f"exit code {code}: {self.log[-3000:]}"

    def cpu_seconds(self) -> float:
        """What the processes have used so far, in user and in system mode."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids()]
        return sum(int(ticks) for stat in stats for ticks in stat[11:13]) / os.sysconf("SC_CLK_TCK")

    def pids(self) -> list[int]:
        """The process and its descendants."""
        assert self.process is not None, "it was launched"
        found = [self.process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found

    def cleanup(self) -> None:
        """End whatever still runs."""
        if self.process is not None and self.process.poll() is None:
            for pid in reversed(self.pids()):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def made(toml: str, *, mode: str, command: Sequence[str] = SOURCE) -> Iterator[BenchNode]:
    """A node set up by `paynode init` on a config that ends in `toml`."""
    with tempfile.TemporaryDirectory(prefix="paynode-bench-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        config = folder / "paynode.toml"
        config.write_text(
            f'[node]\nmode = "{mode}"\ndata_dir = "{folder}/data"\nlisten = ["127.0.0.1:{port}"]\n'
            f'[stores.main]\nname = "Bench"\n{toml}'
        )
        mnemonic = folder / "mnemonic"
        mnemonic.write_text(MNEMONIC)
        mnemonic.chmod(0o600)
        done = subprocess.run(
            [*SOURCE, "init", "-c", str(config)], capture_output=True, text=True, timeout=60, check=False
        )
        key = KEY.search(done.stdout)
        assert key is not None, f"init prints the first key: {done.stdout}{done.stderr}"
        node = BenchNode(folder, port, key[0], command)
        try:
            yield node
        finally:
            node.cleanup()


def sim_toml(count: int = 1) -> str:
    """So many simulated networks."""
    networks = "".join(
        f'[networks.sim{number}]\nfamily = "sim"\ntokens = {{ usdt = {{ decimals = 6, stable = true }} }}\n'
        for number in range(count)
    )
    return f'{networks}[rates]\nstatic = {{ "usdt/USD" = "1", "sim/USD" = "2000" }}\n'


@dataclass(frozen=True, slots=True)
class EvmWorld:
    """Chains with a dollar token each, and the config of a node that follows them as `eth0`, `eth1`, ..."""

    labs: Sequence[Lab]
    tokens: Sequence[Deployed]

    def toml(self, *, rpc: str | None = None) -> str:
        """The config's networks. `rpc` stands in for the chains' own."""
        networks = "".join(
            f"""
[networks.eth{number}]
family = "evm"
chain_id = {lab.chain_id}
rpc = {[rpc or lab.url]}
confirmations = 3
reorg_horizon = 64
tick_seconds = 1
treasury = "{TREASURY}"
native = {{ symbol = "eth", decimals = 18 }}
tokens.usdt = {{ contract = "{token.address}", decimals = 6, stable = true }}
"""
            for number, (lab, token) in enumerate(zip(self.labs, self.tokens, strict=True))
        )
        rates = '[rates]\nstatic = { "usdt/USD" = "1", "eth/USD" = "2000" }\n'
        return f'[custody]\nmnemonic_file = "mnemonic"\n{networks}{rates}'


@asynccontextmanager
async def evm_world(count: int = 1) -> AsyncIterator[EvmWorld]:
    """So many real chains."""
    async with AsyncExitStack() as stack:
        labs = [await stack.enter_async_context(anvil(chain_id=FIRST_CHAIN_ID + number)) for number in range(count)]
        yield EvmWorld(labs, [await lab.deploy("Standard", 6) for lab in labs])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
