"""`paynode init`: makes what is missing, whole or not at all, and overwrites nothing."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from tests.cli.commands import (
    FOREIGN_TREASURY,
    NOBODYS_PORT,
    PHRASE,
    TREASURY,
    XPUB,
    make_sim_node,
    make_test_node,
    paynode,
    process_environ,
    worked,
)

from paynode.cli.exit_codes import ExitCode
from paynode.cli.new_files import beside, put_in_place, write_synced
from paynode.cli.opening import opened
from paynode.cli.problems import Failure
from paynode.config import Config, load_config
from paynode.operations.api_keys import find_key
from paynode.store import stores
from paynode.store.stores import AccountRecord

CHAIN = f"""
[networks.shopchain]
family = "evm"
chain_id = 31337
rpc = ["{NOBODYS_PORT}"]
treasury = "{FOREIGN_TREASURY}"
confirmations = 3
native = {{ symbol = "eth", decimals = 18 }}
"""
CONFIG = f'[node]\nmode = "test"\ndata_dir = "data"\n{CHAIN}'


def config_of(folder: Path) -> Config:
    return load_config(folder / "paynode.toml", environ={})


def accounts_of(folder: Path) -> list[AccountRecord]:
    with opened(config_of(folder)) as (database, _):
        return database.read(stores.accounts)


def write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_new_node_has_config_mnemonic_database_and_a_key_that_works(tmp_path: Path) -> None:
    key = make_test_node(tmp_path)
    config = config_of(tmp_path)
    assert [network.name for network in config.enabled_networks] == ["sepolia"]
    assert len((tmp_path / "mnemonic").read_text().split()) == 24
    (account,) = accounts_of(tmp_path)
    assert account.xpub.startswith("xpub")
    with opened(config) as (database, catalogue):
        record = database.read(find_key, catalogue, key, datetime.now(UTC))
    assert record is not None
    assert record.store_id in catalogue.store_keys


def test_what_it_makes_is_for_its_owners_eyes_only(tmp_path: Path) -> None:
    make_test_node(tmp_path / "node")
    for path in [tmp_path / "node", *(tmp_path / "node").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_mnemonic_is_never_printed(tmp_path: Path) -> None:
    result = paynode(
        tmp_path,
        *("init", "--mode", "test", "--network", "sepolia", "--rpc", NOBODYS_PORT, "--treasury", FOREIGN_TREASURY),
    )
    words = (tmp_path / "mnemonic").read_text().split()
    assert not any(" ".join(pair) in result.output for pair in pairwise(words))


def test_a_second_init_changes_nothing_and_shows_no_key(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    before = contents(tmp_path)
    assert worked(paynode(tmp_path, "init")) == ""
    assert contents(tmp_path) == before


def test_answers_to_a_node_that_exists_are_refused(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    before = contents(tmp_path)
    result = paynode(tmp_path, "init", "--mode", "live", "--public-url", "https://pay.example.com")
    assert result.exit_code == ExitCode.EXISTS
    assert "--mode, --public-url would change nothing" in result.stderr
    assert contents(tmp_path) == before


def test_without_answers_it_names_those_it_needs(tmp_path: Path) -> None:
    result = paynode(tmp_path, "init", "--mode", "live")
    assert result.exit_code == ExitCode.USAGE
    assert "say --network, --rpc, --treasury." in result.stderr
    result = paynode(tmp_path, "init", "--network", "sepolia")
    assert result.exit_code == ExitCode.USAGE
    assert "say --mode, --rpc, --treasury; `--mode sim` alone makes one" in result.stderr


def test_a_wrong_answer_is_told_by_its_key_and_leaves_nothing_behind(tmp_path: Path) -> None:
    mistyped = FOREIGN_TREASURY.lower()
    flags = ("--mode", "live", "--network", "eth", "--rpc", "ftp://x", "--treasury", mistyped)
    result = paynode(tmp_path, "init", *flags)
    assert result.exit_code == ExitCode.CONFIG
    assert "networks.eth.rpc" in result.stderr
    assert "networks.eth.treasury" in result.stderr
    assert contents(tmp_path) == {}


def test_a_network_without_a_preset_is_refused(tmp_path: Path) -> None:
    flags = ("--mode", "test", "--network", "shopchain", "--rpc", NOBODYS_PORT, "--treasury", TREASURY)
    result = paynode(tmp_path, "init", *flags)
    assert result.exit_code == ExitCode.USAGE
    assert contents(tmp_path) == {}


def test_an_xpub_makes_a_node_that_cannot_spend(tmp_path: Path) -> None:
    flags = ("--mode", "test", "--network", "sepolia", "--rpc", NOBODYS_PORT, "--xpub", XPUB)
    worked(paynode(tmp_path, "init", *flags))
    assert not (tmp_path / "mnemonic").exists()
    assert accounts_of(tmp_path) == [AccountRecord("evm", 0, XPUB, "", 0)]


def test_a_simulation_needs_no_mnemonic(tmp_path: Path) -> None:
    assert make_sim_node(tmp_path).startswith("pn_sim_")
    assert not (tmp_path / "mnemonic").exists()


def test_a_mnemonic_that_is_there_is_used(tmp_path: Path) -> None:
    write_secret(tmp_path / "mnemonic", PHRASE)
    make_test_node(tmp_path)
    assert (tmp_path / "mnemonic").read_text() == PHRASE
    # anvil's account 0, as bip-utils exports it; also in tests/config/toml.py
    assert accounts_of(tmp_path)[0].xpub.startswith("xpub6Ce9NcJvTk36x")


def test_a_new_store_gets_its_branch_and_the_others_stay(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    before = accounts_of(tmp_path)
    with (tmp_path / "paynode.toml").open("a") as config:
        config.write("\n[stores.second]\naccount = 5\n")
    result = paynode(tmp_path, "init")
    assert "added one branch" in result.stderr
    after = accounts_of(tmp_path)
    assert [account.account for account in after] == [0, 5]
    assert after[0] == before[0]


def test_another_mnemonic_for_a_database_in_use_is_refused(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    before = accounts_of(tmp_path)
    write_secret(tmp_path / "mnemonic", PHRASE)
    result = paynode(tmp_path, "init")
    assert result.exit_code == ExitCode.CONFIG
    assert "another seed" in result.stderr
    assert accounts_of(tmp_path) == before


def test_an_existing_config_without_its_mnemonic_is_refused_until_a_new_one_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "paynode.toml").write_text(CONFIG)
    refused = paynode(tmp_path, "init")
    assert refused.exit_code == ExitCode.CONFIG
    assert "--new-mnemonic" in refused.stderr
    worked(paynode(tmp_path, "init", "--new-mnemonic"))
    assert accounts_of(tmp_path)


def test_a_lost_mnemonic_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    make_test_node(tmp_path)
    (tmp_path / "mnemonic").unlink()
    assert paynode(tmp_path, "init", "--new-mnemonic").exit_code == ExitCode.CONFIG
    assert not (tmp_path / "mnemonic").exists()


@pytest.mark.parametrize("treasury", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", TREASURY])
def test_a_treasury_from_the_same_mnemonic_is_refused(tmp_path: Path, treasury: str) -> None:
    write_secret(tmp_path / "mnemonic", PHRASE)
    (tmp_path / "paynode.toml").write_text(CONFIG.replace(FOREIGN_TREASURY, treasury))
    result = paynode(tmp_path, "init")
    assert result.exit_code == ExitCode.CONFIG
    assert "networks.shopchain.treasury: is an address of this node's own mnemonic" in result.stderr
    assert not (tmp_path / "data").exists()


def test_the_log_of_a_database_that_is_gone_stops_init(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    data = tmp_path / "paynode-data"
    (data / "paynode.db").rename(data / "paynode.db-wal")
    result = paynode(tmp_path, "init")
    assert result.exit_code == ExitCode.EXISTS
    assert not (data / "paynode.db").exists()


def test_what_an_interrupted_init_left_is_no_obstacle(tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    data = tmp_path / "paynode-data"
    (data / "paynode.db").rename(data / "paynode.db.new")
    assert worked(paynode(tmp_path, "init")).startswith("pn_sim_")
    assert sorted(path.name for path in data.iterdir()) == ["lock", "paynode.db"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mnemonic"
    with beside(path) as draft:
        write_synced(draft, "ours")
        path.write_text("theirs")
        with pytest.raises(Failure):
            put_in_place(draft, path)
    assert contents(tmp_path) == {path: b"theirs"}


@pytest.mark.parametrize("name", ["sepolia", "amoy"])
def test_every_coin_of_a_test_network_has_a_price(tmp_path: Path, name: str) -> None:
    flags = ("--mode", "test", "--network", name, "--rpc", NOBODYS_PORT, "--treasury", FOREIGN_TREASURY)
    worked(paynode(tmp_path, "init", *flags))
    config = config_of(tmp_path)
    network = config.networks[name]
    coins = {network.native.symbol, *network.tokens}
    assert {(coin, "USD") for coin in coins} <= config.static_rates.keys()


def test_on_a_terminal_it_asks_for_what_no_flag_says_until_it_can_be_right(tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    answers = ("test", "eth", "sepolia", "rpc.example.com", NOBODYS_PORT, "0x1234", FOREIGN_TREASURY, "y")
    os.write(terminal, "".join(f"{answer}\n" for answer in answers).encode())
    command = [sys.executable, "-m", "paynode", "init", "-c", str(tmp_path / "paynode.toml")]
    done = subprocess.run(command, stdin=inner, capture_output=True, env=process_environ({}), text=True, timeout=180)
    os.close(inner)
    os.close(terminal)
    assert done.returncode == 0, done.stderr
    asked = done.stdout + done.stderr
    assert "'eth' is not one of 'sepolia', 'amoy'" in asked
    assert asked.count("URL of its RPC provider") == asked.count("Treasury: an address of your own wallet") == 2
    assert "It is not an EVM address. Write" in asked
    assert config_of(tmp_path).networks["sepolia"].treasury == FOREIGN_TREASURY
