"""Running commands as a person would, in this process or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from paynode.cli import main

# anvil's public development mnemonic and its second account: known to everybody
PHRASE = "test test test test test test test test test test test junk"
TREASURY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
# the first address of the public phrase "abandon ... about", and its account 0
FOREIGN_TREASURY = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
XPUB = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
NOBODYS_PORT = "http://127.0.0.1:1/"

# Runs the command with its arguments, then the statements that stand in the first of them, in place of the daemon.
FAKE_DAEMON = """
import sys, types
statements = sys.argv.pop(1)
daemon = types.ModuleType("paynode.daemon")
daemon.run_daemon = lambda config: exec(statements, {"config": config})
sys.modules["paynode.daemon"] = daemon
from paynode.__main__ import main
main()
"""


def paynode(folder: Path, *arguments: str, **environ: str) -> Result:
    """One command with the config `paynode.toml` in `folder`, in this process."""
    return CliRunner(env=environ).invoke(main, [*arguments, "-c", str(folder / "paynode.toml")])


def worked(result: Result) -> str:
    """What a command printed on stdout, once it is known to have worked."""
    assert result.exit_code == 0, result.output
    return result.stdout


def make_test_node(folder: Path, *, rpc: str = NOBODYS_PORT) -> str:
    """A node on a test network with a new mnemonic; returns its first API key."""
    flags = ("--mode", "test", "--network", "sepolia", "--rpc", rpc, "--treasury", FOREIGN_TREASURY)
    return worked(paynode(folder, "init", *flags)).strip()


def make_sim_node(folder: Path) -> str:
    return worked(paynode(folder, "init", "--mode", "sim")).strip()


def process_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **environ}


def run_with_fake_daemon(folder: Path, statements: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`paynode run` in a process of its own, with `statements` in place of the daemon."""
    command = [sys.executable, "-c", FAKE_DAEMON, statements, "run", "-c", str(folder / "paynode.toml")]
    return subprocess.run(command, env=process_environ(environ), capture_output=True, text=True, timeout=180)
