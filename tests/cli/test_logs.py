"""What is logged, and what can never be: commands run at debug level with canaries in every secret."""

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.commands import PHRASE, make_sim_node, process_environ, run_with_fake_daemon

LOGGING = """
import logging, structlog, warnings
log = structlog.get_logger()
log.debug("quiet_at_info"); log.info("ready", networks=["eth"], secret=config.node.data_dir)
logging.getLogger("httpx").info("HTTP Request: POST https://rpc.example/canary-key")
logging.getLogger("httpcore.http11").debug("request canary-key")
logging.getLogger("hypercorn.error").info("Running on %s", "http://127.0.0.1:8080")
logging.getLogger("elsewhere").warning("a library's word")
warnings.warn("deprecated")
"""
# The phrase is in a local variable of every frame, as it is where a key is made.
BROKEN = """
from paynode.config import Secret
from paynode.seed import Seed
import structlog
def fail(phrase):
    seed, secret = Seed(Secret(phrase)), Secret(phrase)
    assert not seed, secret
try:
    fail(PHRASE)
except AssertionError as error:
    structlog.get_logger().exception("went_wrong", seed=Seed(Secret(PHRASE)), secret=Secret(PHRASE))
fail(PHRASE)
"""
CONFIG = """
[node]
mode = "test"
data_dir = "data"
listen = ["127.0.0.1:1"]
[networks.shopchain]
family = "evm"
chain_id = 31337
rpc = ["http://127.0.0.1:1/v2/{credential:rpc_key}"]
treasury = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
confirmations = 3
native = { symbol = "eth", decimals = 18 }
"""
CANARY_KEY = "canarykey7531"
ABORT = "import os; os.abort()"


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_away_from_a_terminal_every_line_is_json_with_time_and_level(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    done = run_with_fake_daemon(tmp_path, LOGGING)
    logged = {str(line["event"]).partition(":")[0]: line for line in lines(done.stderr)}
    assert logged["ready"]["networks"] == ["eth"]
    assert {"timestamp", "level"} <= set(logged["ready"])
    assert "quiet_at_info" not in logged
    assert logged["a library's word"]["logger"] == "elsewhere"
    assert "Running on http" in logged
    assert any("deprecated" in str(line["event"]) for line in lines(done.stderr))


def test_debug_shows_our_own_events_and_still_no_requests_of_libraries(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    done = run_with_fake_daemon(tmp_path, LOGGING, PAYNODE_LOG="debug")
    assert "quiet_at_info" in done.stderr
    assert "canary-key" not in done.stderr


def test_no_secret_is_in_any_output_at_debug_level_whatever_goes_wrong(tmp_path: Path) -> None:
    """Every command, right and wrong phrases, a logged traceback, a crash and an abort; then grep all that was left."""
    (tmp_path / "paynode.toml").write_text(CONFIG)
    mnemonic = tmp_path / "mnemonic"
    mnemonic.touch(mode=0o600)
    said = ""
    for phrase in (PHRASE.replace("junk", "test"), PHRASE.replace("junk", "canaryword"), f"{PHRASE} canaryword"):
        mnemonic.write_text(phrase)
        said += output(tmp_path, "init")
    mnemonic.write_text(PHRASE)
    for command in ("init", "check", "status", "keys list", "keys create", "resume"):
        said += output(tmp_path, *command.split())
    for statements in (LOGGING, BROKEN.replace("PHRASE", repr(PHRASE)), ABORT):
        done = run_with_fake_daemon(tmp_path, statements, PAYNODE_LOG="debug", PAYNODE_CREDENTIAL_RPC_KEY=CANARY_KEY)
        said += done.stdout + done.stderr
    assert "went_wrong" in said
    assert said.count("Traceback") == 2  # the logged one and the crash, which name the source and no value
    for canary in ("junk", "test test", "canaryword", CANARY_KEY):
        assert canary not in said
    assert not list(tmp_path.rglob("core*"))


def output(folder: Path, *arguments: str) -> str:
    """All that a command of its own process prints."""
    command = [sys.executable, "-m", "paynode", *arguments, "-c", str(folder / "paynode.toml")]
    environ = process_environ({"PAYNODE_LOG": "debug", "PAYNODE_CREDENTIAL_RPC_KEY": CANARY_KEY})
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=180)
    return done.stdout + done.stderr
