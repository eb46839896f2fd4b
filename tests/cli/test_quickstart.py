"""The programs and the session of docs/quickstart.md, run as they stand there: against a demo, and in a terminal."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import pytest
from tests.cli.commands import process_environ
from tests.cli.test_demo import Player, playing

PAGE = (Path(__file__).parents[2] / "src" / "paynode" / "docs" / "quickstart.md").read_text()
SECONDS_MAX = 180  # takes a few on a quiet machine


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    with playing(tmp_path_factory.mktemp("demo")) as player:
        yield player


def program(language: str) -> str:
    """All the page's code in that language, in its order."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("language", "command", "order_id"),
    [
        ("sh", ["sh", "-eu", "-c"], "2001"),
        ("python", [sys.executable, "-c"], "2002"),
        ("js", ["node", "--input-type=module", "--eval"], "2003"),
    ],
)
def test_a_program_of_the_quick_start_ends_with_a_paid_invoice(
    player: Player, language: str, command: list[str], order_id: str
) -> None:
    environ = {
        "PAYNODE_URL": str(player.client.base_url).rstrip("/"),
        "PAYNODE_API_KEY": player.client.headers["Authorization"].removeprefix("Bearer "),
    }
    done = subprocess.run(
        [*command, program(language)],
        env=process_environ(environ),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (invoice,) = player.client.get("/v1/invoices", params={"order_id": order_id}).json()["data"]
    assert done.stdout.splitlines()[-1].endswith(f"{invoice['id']} is paid")
    assert invoice["status"] == "paid"


def test_every_program_makes_the_same_order_and_says_so_at_its_end() -> None:
    for language in ("sh", "python", "js", "php"):
        code = program(language)
        for part in ("12.50", "sim_usdt", "Idempotency-Key", "/v1/test/invoices/", "is paid"):
            assert part in code, (language, part)


class Terminal:
    """A shell that is typed into, and whose screen is read."""

    def __init__(self, folder: Path) -> None:
        environ = process_environ({"HOME": str(folder), "PYTHONUNBUFFERED": "1"})
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
        self.shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.screen: list[str] = []
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.shell.stdout is not None
        for line in self.shell.stdout:
            self._lines.put(line)

    def type(self, text: str) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write(text)
        self.shell.stdin.flush()

    def wait_for(self, part: str) -> None:
        ends_at = time.monotonic() + SECONDS_MAX
        while not any(part in line for line in self.screen):
            try:
                self.screen.append(self._lines.get(timeout=max(ends_at - time.monotonic(), 0)))
            except Empty:
                pytest.fail(f"{part!r} was not seen on the screen:\n{''.join(self.screen)}")

    def close(self) -> None:
        """End whatever was started in it."""
        os.killpg(self.shell.pid, signal.SIGKILL)  # a group of its own
        self._reader.join()
        with self.shell:  # closes what it was read and written by, and waits for its end
            pass


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def test_the_session_in_the_sandbox_ends_with_verified_webhooks(terminal: Terminal, tmp_path: Path) -> None:
    """Goal: whoever types the page sees what it promises. Method: type it, with ports that nobody else has."""
    node_port, shop_port = str(free_port()), str(free_port())
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    seen = {
        "paynode run": "",
        "paynode listen": "Ready",
        "paynode pay": "verified: invoice.paid 1001",
        "paynode trigger": "verified: invoice.paid_late",
        "kill": "",
    }
    assert len(blocks) == len(seen)
    for (command, promised), block in zip(seen.items(), blocks, strict=True):
        assert command in block
        typed = block.replace("paynode run", f"sed -i s/8080/{node_port}/ paynode.toml; paynode run")
        terminal.type(f"{typed.replace('4242', shop_port)}\necho end of {command!r}\n")
        terminal.wait_for(f"end of {command}")
        terminal.wait_for(promised)
    terminal.wait_for("verified: invoice.expired")
    terminal.wait_for("verified: invoice.underpaid")
    said = "".join(terminal.screen)
    assert "1001" in said.partition("ORDER")[2], said
    assert not (tmp_path / "sandbox").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
