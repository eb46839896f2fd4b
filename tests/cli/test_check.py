"""`paynode check`, also against a real chain."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import trio
from tests.cli.commands import FOREIGN_TREASURY, NOBODYS_PORT, make_sim_node, make_test_node, paynode
from tests.lab.anvil import anvil

from paynode.cli.exit_codes import ExitCode

NO_TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3"  # where a fresh chain has no code


def found(folder: Path, *flags: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by subject."""
    result = paynode(folder, "check", "--json", *flags)
    return result.exit_code, {finding["subject"]: finding for finding in json.loads(result.stdout)}


def problems(folder: Path, *flags: str) -> dict[str, str]:
    _, findings = found(folder, *flags)
    return {subject: finding["text"] for subject, finding in findings.items() if not finding["ok"]}


def chain_config(url: str, *, chain_id: int = 31337, more: str = "") -> str:
    return f"""
[node]
mode = "test"
data_dir = "data"
[networks.shopchain]
family = "evm"
chain_id = {chain_id}
rpc = ["{url}"]
treasury = "{FOREIGN_TREASURY}"
confirmations = 3
native = {{ symbol = "eth", decimals = 18 }}
{more}
"""


async def in_thread(folder: Path, *arguments: str) -> tuple[int, str]:
    """A command in a thread of its own, since it runs its own trio."""
    result = await trio.to_thread.run_sync(lambda: paynode(folder, *arguments))
    return result.exit_code, result.stdout


async def test_a_node_on_a_real_chain_is_found_ready(tmp_path: Path) -> None:
    async with anvil() as lab:
        (tmp_path / "paynode.toml").write_text(chain_config(lab.url))
        assert (await in_thread(tmp_path, "init", "--new-mnemonic"))[0] == ExitCode.OK
        code, printed = await in_thread(tmp_path, "check")
    assert code == ExitCode.OK, printed
    assert "PROBLEM" not in printed
    assert "looks by a state override, pinned by hash; chain id, looks and 1 assets are right" in printed


async def test_another_chain_and_a_token_that_is_none_are_problems_of_that_provider(tmp_path: Path) -> None:
    async with anvil() as lab:
        path = tmp_path / "paynode.toml"
        path.write_text(chain_config(lab.url, chain_id=1337))
        assert (await in_thread(tmp_path, "init", "--new-mnemonic"))[0] == ExitCode.OK
        code, printed = await in_thread(tmp_path, "check")
        assert code == ExitCode.PROBLEM
        assert "serves chain 31337, not 1337" in printed
        path.write_text(chain_config(lab.url, more=f'tokens.fake = {{ contract = "{NO_TOKEN}", decimals = 6 }}'))
        code, printed = await in_thread(tmp_path, "check")
        assert code == ExitCode.PROBLEM
        assert "shopchain_fake: no balance" in printed


async def test_a_token_that_counts_in_other_decimals_than_the_config_is_a_problem(tmp_path: Path) -> None:
    """A price of 10 in 6 decimals, paid in a token of 18, would cost nothing."""
    async with anvil() as lab:
        path = tmp_path / "paynode.toml"
        token = await lab.deploy("Standard", 18)
        listed = f'tokens.wide = {{ contract = "{token.address}", decimals = 18 }}'
        path.write_text(chain_config(lab.url, more=listed))
        assert (await in_thread(tmp_path, "init", "--new-mnemonic"))[0] == ExitCode.OK
        code, printed = await in_thread(tmp_path, "check")
        assert code == ExitCode.OK, printed
        path.write_text(chain_config(lab.url, more=listed.replace("decimals = 18", "decimals = 6")))
        code, printed = await in_thread(tmp_path, "check")
        assert code == ExitCode.PROBLEM
        assert "shopchain_wide: its contract counts in 18 decimals, the config in 6" in printed


def test_every_mistake_of_the_config_has_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "paynode.toml").write_text('[node]\nmode = "live"\nlisten = ["nowhere"]\n[networks.eth]\n')
    code, findings = found(tmp_path)
    assert code == ExitCode.CONFIG
    assert {"node.listen", "networks.eth.rpc", "networks.eth.treasury"} <= set(findings)


def test_a_provider_that_nobody_reaches_is_a_problem_and_offline_asks_none(tmp_path: Path) -> None:
    make_test_node(tmp_path, rpc=NOBODYS_PORT)
    code, findings = found(tmp_path)
    assert code == ExitCode.PROBLEM
    assert [subject for subject, finding in findings.items() if not finding["ok"]] == ["sepolia, 127.0.0.1:1"]
    assert found(tmp_path, "--offline")[0] == ExitCode.OK


def test_a_wrong_mnemonic_is_told_by_places_and_never_by_words(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    words = (tmp_path / "mnemonic").read_text().split()
    (tmp_path / "mnemonic").write_text(" ".join([*words[:23], "canaryword"]))
    code, findings = found(tmp_path, "--offline")
    assert code == ExitCode.CONFIG
    assert "at place 24" in findings["keys"]["text"]
    assert "canaryword" not in str(findings)


def test_a_mnemonic_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    (tmp_path / "mnemonic").chmod(0o644)
    assert "chmod 600" in problems(tmp_path, "--offline")["custody.mnemonic_file"]


def test_a_missing_database_is_a_problem_and_is_not_made(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    database = tmp_path / "paynode-data" / "paynode.db"
    database.unlink()
    code, _ = found(tmp_path)
    assert code == ExitCode.DATABASE
    assert not database.exists()


def test_damage_where_commands_do_not_read_is_found(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    path = tmp_path / "paynode-data" / "paynode.db"
    with closing(apsw.Connection(str(path))) as database:
        row = database.execute("select rootpage from sqlite_schema where name = 'sweeps_by_age'").fetchone()
    assert row is not None
    with path.open("r+b") as file:
        file.seek((row[0] - 1) * 4096)
        file.write(b"\xff")  # no type of a b-tree page
    assert "damaged" in problems(tmp_path)["database"]


def test_a_data_dir_that_others_may_look_into_is_a_problem(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    (tmp_path / "paynode-data").chmod(0o755)
    assert "chmod 700" in problems(tmp_path)["data_dir"]


def test_a_store_that_init_has_not_seen_is_a_problem(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    with (tmp_path / "paynode.toml").open("a") as config:
        config.write("\n[stores.second]\naccount = 5\n")
    assert "Run `paynode init`" in problems(tmp_path)["database"]


def test_the_mnemonic_of_another_node_is_a_problem(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    make_test_node(tmp_path / "other")
    (tmp_path / "mnemonic").write_text((tmp_path / "other" / "mnemonic").read_text())
    assert "another mnemonic" in problems(tmp_path, "--offline")["database"]
