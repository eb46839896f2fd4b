"""`paynode run`: what it refuses to start on, what it gives up before, and that a second one stays out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.commands import FAKE_DAEMON, XPUB, make_sim_node, process_environ, run_with_fake_daemon

from paynode.cli.exit_codes import ExitCode
from paynode.store import lock
from paynode.store.lock import AlreadyRunning

WHAT_IT_GAVE_UP = """
import ctypes, json, os, resource
print(json.dumps({
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "umask": os.umask(0),
    "environ": dict(os.environ),
    "proc_environ": open("/proc/self/environ").read(),
    "url": config.networks["shopchain"].rpc[0].reveal(),
}))
"""
CREDENTIAL_CONFIG = f"""
[node]
mode = "test"
data_dir = "data"
[custody]
mode = "watch"
xpub.evm = "{XPUB}"
[networks.shopchain]
family = "evm"
chain_id = 31337
rpc = ["http://127.0.0.1:1/{{credential:rpc_key}}"]
confirmations = 3
native = {{ symbol = "eth", decimals = 18 }}
"""


def test_a_config_with_mistakes_is_not_started_on(tmp_path: Path) -> None:
    (tmp_path / "paynode.toml").write_text('[node]\nmode = "life"\n')
    done = run_with_fake_daemon(tmp_path, "print('started')")
    assert done.returncode == ExitCode.CONFIG
    assert "node.mode" in done.stderr
    assert done.stdout == ""


def test_a_data_dir_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "paynode.toml").write_text('[node]\nmode = "sim"\ndata_dir = "data"\n')
    done = run_with_fake_daemon(tmp_path, "print('started')")
    assert done.returncode == ExitCode.DATABASE
    assert "paynode init" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_problem_of_the_daemon_ends_in_a_sentence(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    (tmp_path / "paynode-data" / "paynode.db").write_bytes(b"not a database" * 1000)
    done = run_with_fake_daemon(tmp_path, "from paynode.store import database; database.open(config.node.database)")
    assert done.returncode == ExitCode.DATABASE
    assert "Traceback" not in done.stderr


def test_an_unknown_log_level_is_refused(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    done = run_with_fake_daemon(tmp_path, "print('started')", PAYNODE_LOG="loud")
    assert (done.returncode, done.stdout) == (ExitCode.CONFIG, "")


def test_a_second_daemon_on_the_same_data_is_refused_with_the_firsts_pid(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    hold = "import sys; print('holds', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", FAKE_DAEMON, hold, "run", "-c", str(tmp_path / "paynode.toml")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": process_environ({})}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"holds\n"
        second = run_with_fake_daemon(tmp_path, "print('started')")
        assert (second.returncode, second.stdout) == (ExitCode.BUSY, "")
        assert f"process {first.pid}" in second.stderr
        first.kill()
        first.wait()
    third = run_with_fake_daemon(tmp_path, "print('started')")
    assert (third.returncode, third.stdout) == (0, "started\n")


def test_the_lock_is_free_again_once_its_holder_is_done(tmp_path: Path) -> None:
    for _ in range(2):
        with lock.hold(tmp_path):
            with pytest.raises(AlreadyRunning) as caught, lock.hold(tmp_path):
                pass
            assert caught.value.pid == os.getpid()


def test_the_process_gives_up_core_files_and_debuggers_and_wipes_credentials(tmp_path: Path) -> None:
    (tmp_path / "paynode.toml").write_text(CREDENTIAL_CONFIG)
    (tmp_path / "data").mkdir()
    done = run_with_fake_daemon(tmp_path, WHAT_IT_GAVE_UP, PAYNODE_CREDENTIAL_RPC_KEY="canary-key-7531")
    seen = json.loads(done.stdout)
    assert (seen["dumpable"], seen["core"], seen["umask"]) == (0, [0, 0], 0o077)
    assert seen["url"].endswith("canary-key-7531")
    assert "PAYNODE_CREDENTIAL_RPC_KEY" not in seen["environ"]
    assert "canary" not in seen["proc_environ"]
