"""`paynode demo` as a person uses it: played with over its API, and ended by a signal."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.commands import process_environ

from paynode.cli.exit_codes import ExitCode

SECONDS_MAX = 180  # takes a few on a quiet machine
POLL_SECONDS = 0.05

Json = dict[str, Any]


@dataclass(frozen=True)
class Player:
    """A person with the demo's key."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def post(self, path: str, body: Json) -> Json:
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def until(self, path: str, is_so: Callable[[Json], bool]) -> Json:
        ends_at = time.monotonic() + SECONDS_MAX
        while True:
            found: Json = self.client.get(path).json()
            if is_so(found):
                return found
            assert time.monotonic() < ends_at, found
            time.sleep(POLL_SECONDS)

    def paid_and_swept(self, body: Json) -> Json:
        invoice = self.post("/v1/invoices", body)
        self.post(f"/v1/test/invoices/{invoice['id']}/pay", {})
        return self.until(f"/v1/invoices/{invoice['id']}", lambda seen: seen["sweep_state"] == "swept")


@contextmanager
def playing(tmp: Path) -> Iterator[Player]:
    """A demo that has said all it says by itself, with `tmp` for its temporary files."""
    environ = process_environ({"TMPDIR": str(tmp)})
    command = [sys.executable, "-m", "paynode", "demo"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            key, url = re.search(r"pn_sim_\w+", said), re.search(r"http://127\.0\.0\.1:\d+", said)
            assert key is not None, said
            assert url is not None, said
            headers = {"Authorization": f"Bearer {key[0]}"}
            with httpx.Client(base_url=url[0], headers=headers, trust_env=False, timeout=SECONDS_MAX) as client:
                yield Player(process, client)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with playing(tmp_path) as player:
        assert list(tmp_path.iterdir()) != []
        player.process.send_signal(number)
        said, _ = player.process.communicate(timeout=SECONDS_MAX)
        assert player.process.returncode == 0
        assert "Nothing of it is left" in said
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_somebody_has_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "paynode", "demo", "--port", str(port)]
        done = subprocess.run(
            command, env=process_environ({}), capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    assert done.returncode == ExitCode.BUSY
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert done.stderr.endswith("Choose another --port.\n")


def test_the_key_of_a_demo_pays_invoice_after_invoice_and_lets_outflows_go_on_after_a_reorganisation(
    tmp_path: Path,
) -> None:
    order = {"amount": "12.50", "currency": "USD", "methods": ["sim_usdt"], "provision": True}
    with playing(tmp_path) as player:
        for _ in range(2):
            player.paid_and_swept(order)
        assert player.client.post("/v1/test/reorg", json={"depth": 1000}).status_code == 422
        player.post("/v1/test/reorg", {"depth": 60})
        player.until("/v1/node", lambda node: node["outflows"]["paused"])
        assert player.post("/v1/outflows/resume", {})["data"] != []
        assert player.client.get("/v1/node").json()["outflows"]["paused"] is False
