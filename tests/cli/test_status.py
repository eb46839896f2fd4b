"""`paynode status`: of the database, and of the daemon that should answer."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import make_sim_node, paynode

from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import opened
from paynode.config import load_config
from paynode.domain.chain import BlockRef, Dispute, Pair
from paynode.operations import outflows
from paynode.store import chain, watches
from paynode.store.chain import NetworkRecord

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEAD = BlockRef(110, "0x6e", NOW)
CURSOR = BlockRef(100, "0x64", NOW)


class Answering(BaseHTTPRequestHandler):
    """A daemon's liveness, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/status" else 404)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def daemon() -> Iterator[str]:
    """The address of something that answers."""
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def listen_on(folder: Path, address: str) -> None:
    path = folder / "paynode.toml"
    path.write_text(path.read_text().replace("127.0.0.1:8080", address))


@pytest.fixture
def folder(tmp_path: Path, daemon: str) -> Path:
    """A node that looked at its network, and whose daemon answers."""
    make_sim_node(tmp_path)
    listen_on(tmp_path, daemon)
    with opened(load_config(tmp_path / "paynode.toml", environ={})) as (database, _):
        database.write(chain.save_network, NetworkRecord("sim", "ok", None, 110, "0x6e", NOW, NOW))
        database.write(chain.add_checkpoint, "sim", CURSOR)
    return tmp_path


def seen(folder: Path) -> tuple[int, dict[str, Any]]:
    result = paynode(folder, "status", "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_node_that_works_shows_its_cursor_and_lag(folder: Path) -> None:
    code, view = seen(folder)
    assert code == ExitCode.OK
    assert view["daemon"] == {"ok": True, "problem": None}
    (network,) = view["networks"]
    assert (network["state"], network["cursor"], network["head"], network["lag_blocks"]) == ("ok", 100, 110, 10)
    assert (view["open_invoices"], view["due_deliveries"], view["pauses"]) == (0, 0, [])


def test_without_a_daemon_it_says_so_and_shows_the_rest(folder: Path, daemon: str) -> None:
    path = folder / "paynode.toml"
    path.write_text(path.read_text().replace(daemon, "127.0.0.1:1"))
    code, view = seen(folder)
    assert code == ExitCode.UNAVAILABLE
    assert "127.0.0.1:1/v1/status" in view["daemon"]["problem"]
    assert view["daemon"]["problem"].endswith("`paynode run` starts it")
    assert view["networks"][0]["cursor"] == 100


def test_pauses_and_disputes_are_for_a_person(folder: Path) -> None:
    dispute = Dispute(Pair("sim1aa", "sim_usdt"), HEAD, 5, None, "nothing explains it")
    with opened(load_config(folder / "paynode.toml", environ={})) as (database, catalogue):
        database.write(outflows.pause, catalogue, "sim", "", "the books do not balance", NOW)
        database.write(watches.replace_disputes, "sim", [dispute])
    code, view = seen(folder)
    assert code == ExitCode.PROBLEM
    assert [pause["reason"] for pause in view["pauses"]] == ["the books do not balance"]
    (shown,) = view["networks"][0]["disputes"]
    assert (shown["address"], shown["expected_units"], shown["observed_units"]) == ("sim1aa", "5", None)
    assert view["addresses"][0]["highest_index"] is None
    text = paynode(folder, "status").stdout
    assert "Daemon: answers" in text
    assert "Addresses: sim, account 0: none issued" in text
    assert "Dispute: sim_usdt of sim1aa: nothing explains it" in text
    assert "paynode resume" in text
