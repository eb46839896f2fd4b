"""`paynode run` with the real daemon, on a simulated chain."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.commands import FOREIGN_TREASURY, PHRASE, make_sim_node, paynode, process_environ, worked

from paynode.cli.exit_codes import ExitCode

START_SECONDS_MAX = 180  # takes two on a quiet machine
CANARY_KEY = "canarykey7531"


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def make_node(folder: Path, address: str) -> None:
    make_sim_node(folder)
    path = folder / "paynode.toml"
    path.write_text(path.read_text().replace("127.0.0.1:8080", address))


@contextmanager
def running(folder: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A daemon that has said READY, and the socket on which systemd would hear more of it."""
    command = [sys.executable, "-m", "paynode", "run", "-c", str(folder / "paynode.toml")]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        (folder / "notify").unlink(missing_ok=True)  # of an earlier run
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(START_SECONDS_MAX)
        whole = process_environ({**environ, "NOTIFY_SOCKET": str(folder / "notify")})
        with subprocess.Popen(command, env=whole, cwd=folder, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                assert systemd.recv(1000).startswith(b"READY=1\n")
                yield daemon, systemd
            finally:
                daemon.kill()


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """A daemon that is not expected to start."""
    command = [sys.executable, "-m", "paynode", "run", "-c", str(folder / "paynode.toml")]
    return subprocess.run(command, env=process_environ({}), capture_output=True, text=True, timeout=START_SECONDS_MAX)


def test_a_daemon_is_alive_for_status_keeps_a_second_out_and_stops_when_told(tmp_path: Path) -> None:
    make_node(tmp_path, free_address())
    with running(tmp_path) as (daemon, systemd):
        shown = paynode(tmp_path, "status")
        assert "Daemon: answers" in shown.stdout
        second = run(tmp_path)
        assert second.returncode == ExitCode.BUSY
        assert f"process {daemon.pid}" in second.stderr
        daemon.terminate()
        assert daemon.wait(timeout=START_SECONDS_MAX) == ExitCode.OK
        systemd.setblocking(False)
        heard = []
        while not heard or not heard[-1].startswith(b"STOPPING=1"):
            heard.append(systemd.recv(1000))
        assert b"WATCHDOG=1" in heard[0]


def test_an_address_that_is_taken_ends_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        make_node(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}")
        done = run(tmp_path)
    assert done.returncode == ExitCode.BUSY
    assert "node.listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_gone_is_never_made_anew(tmp_path: Path) -> None:
    make_node(tmp_path, free_address())
    database = tmp_path / "paynode-data" / "paynode.db"
    database.unlink()
    done = run(tmp_path)
    assert done.returncode == ExitCode.DATABASE
    assert "paynode init" in done.stderr
    assert "Traceback" not in done.stderr
    assert not database.exists()


def test_a_hot_node_that_is_aborted_at_debug_level_leaves_no_secret_behind(tmp_path: Path) -> None:
    """A known phrase, a provider's key from the environment, a URL that fails; then grep all that is left."""
    (tmp_path / "mnemonic").touch(mode=0o600)
    (tmp_path / "mnemonic").write_text(PHRASE)
    (tmp_path / "paynode.toml").write_text(f"""
[node]
mode = "test"
data_dir = "data"
listen = ["{free_address()}"]
[networks.sepolia]
rpc = ["http://127.0.0.1:1/v2/{{credential:rpc_key}}"]
treasury = "{FOREIGN_TREASURY}"
""")
    secrets = {"PAYNODE_CREDENTIAL_RPC_KEY": CANARY_KEY}
    worked(paynode(tmp_path, "init", **secrets))
    with running(tmp_path, PAYNODE_LOG="debug", **secrets) as (daemon, systemd):
        while b"WATCHDOG=1" not in systemd.recv(1000):
            pass
        assert daemon.stderr is not None
        logged = ""
        for line in daemon.stderr:
            logged += line
            if "network_degraded" in line:
                break
        daemon.send_signal(signal.SIGABRT)
        assert daemon.wait(timeout=START_SECONDS_MAX) == -signal.SIGABRT
        logged += daemon.stderr.read()
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "mnemonic")
    assert "127.0.0.1:1: eth_" in logged
    for canary in (PHRASE.split()[-1], CANARY_KEY):
        assert canary not in logged
        assert canary.encode() not in left
