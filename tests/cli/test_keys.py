"""`paynode keys`, and what its keys can do."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.commands import XPUB, make_sim_node, paynode, process_environ, worked

from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import opened
from paynode.config import load_config
from paynode.domain.scopes import DEFAULT_SCOPES, NODE_SCOPES
from paynode.operations.api_keys import find_key
from paynode.store.api_keys import ApiKeyRecord

SIM, TEST = 'mode = "sim"', 'mode = "test"'
CHAIN = f"""
[custody]
mode = "watch"
xpub.evm = "{XPUB}"
[networks.sepolia]
rpc = ["http://127.0.0.1:1/"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_sim_node(tmp_path)
    return tmp_path


def keys(folder: Path, *arguments: str) -> Result:
    return paynode(folder, "keys", *arguments)


def listed(folder: Path) -> dict[str, dict[str, object]]:
    return {key["id"]: key for key in json.loads(worked(keys(folder, "list", "--json")))}


def found(folder: Path, text: str) -> ApiKeyRecord | None:
    with opened(load_config(folder / "paynode.toml", environ={})) as (database, catalogue):
        return database.read(find_key, catalogue, text, datetime.now(UTC))


def test_a_key_is_printed_alone_on_stdout_and_works_until_it_is_revoked(folder: Path) -> None:
    text = worked(keys(folder, "create", "--name", "till")).strip()
    record = found(folder, text)
    assert record is not None
    assert set(record.scopes.split()) == DEFAULT_SCOPES
    assert "is revoked" in worked(keys(folder, "revoke", record.id))
    assert found(folder, text) is None
    assert "was revoked before" in worked(keys(folder, "revoke", record.id))


def test_the_list_shows_every_key_and_no_secret(folder: Path) -> None:
    made = json.loads(worked(keys(folder, "create", "--name", "till", "--json")))
    worked(keys(folder, "revoke", made["id"]))
    assert [key["state"] for key in listed(folder).values()] == ["active", "revoked"]
    secret = made["key"].rsplit("_", 1)[1]
    shown = worked(keys(folder, "list"))
    assert made["id"] in shown
    assert "till" in shown
    assert secret not in shown + worked(keys(folder, "list", "--json"))


def test_a_node_key_is_nobodys_store_and_may_resume_outflows(folder: Path) -> None:
    record = found(folder, worked(keys(folder, "create", "--node")).strip())
    assert record is not None
    assert record.store_id is None
    assert set(record.scopes.split()) >= NODE_SCOPES


def test_scopes_can_be_fewer(folder: Path) -> None:
    record = found(folder, worked(keys(folder, "create", "--scopes", "invoices:read, events:read")).strip())
    assert record is not None
    assert record.scopes == "events:read invoices:read"


def test_a_key_of_one_store_is_never_made_a_key_of_the_node(folder: Path) -> None:
    before = listed(folder)
    refused = keys(folder, "create", "--node", "--store", "main")
    assert refused.exit_code == 2
    assert "give --store or --node" in refused.stderr
    assert listed(folder) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scopes", "invoices:rule"), 'No scope "invoices:rule"'),
        (("--scopes", "outflows:write"), 'No scope "outflows:write"'),  # of a store's key
        (("--scopes", ""), 'No scope ""'),  # as of a shell's variable that is not set: not every scope
        (("--store", "nowhere"), "Stores: main"),
        (("--store", ""), "Stores: main"),
    ],
)
def test_what_no_key_can_be_is_refused(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    result = keys(folder, "create", *arguments)
    assert result.exit_code == ExitCode.PROBLEM
    assert told in result.stderr
    assert len(listed(folder)) == 1


def test_a_store_that_init_has_not_seen_is_sent_there(folder: Path) -> None:
    with (folder / "paynode.toml").open("a") as config:
        config.write("\n[stores.second]\naccount = 5\n")
    result = keys(folder, "create", "--store", "second")
    assert result.exit_code == ExitCode.PROBLEM
    assert "paynode init" in result.stderr


def test_a_key_that_never_was_cannot_be_revoked(folder: Path) -> None:
    assert keys(folder, "revoke", "key_nothing").exit_code == ExitCode.PROBLEM


def test_a_key_is_revoked_by_the_part_of_it_that_is_its_id(folder: Path) -> None:
    text = worked(keys(folder, "create")).strip()
    assert "is revoked" in worked(keys(folder, "revoke", text.split("_")[2]))
    assert found(folder, text) is None


@pytest.mark.parametrize("option", ["--name", "--store", "--scopes"])
def test_an_argument_that_is_no_text_is_refused(folder: Path, option: str) -> None:
    done = keys(folder, "create", option, os.fsdecode(b"till\xff"))
    assert done.exit_code == ExitCode.USAGE
    assert "UTF-8" in done.output


def test_a_terminal_that_cannot_show_a_name_gets_it_escaped(folder: Path) -> None:
    worked(keys(folder, "create", "--name", "\u043a\u0430\u0441\u0441\u0430"))
    command = [sys.executable, "-m", "paynode", "keys", "list", "-c", str(folder / "paynode.toml")]
    environ = process_environ({"PYTHONIOENCODING": "latin-1"})
    listing = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=180, check=True).stdout
    assert "\\u043a\\u0430" in listing


def test_the_database_of_another_mode_is_refused(folder: Path) -> None:
    path = folder / "paynode.toml"
    path.write_text(f"{CHAIN}{path.read_text().replace(SIM, TEST)}")
    result = keys(folder, "list")
    assert result.exit_code == ExitCode.CONFIG
    assert 'mode "sim"' in result.stderr


def test_a_key_may_be_bound_to_addresses_and_to_a_time(folder: Path) -> None:
    bounds = ("--preset", "till", "--allow-ip", "192.0.2.7", "--expires-in", "90d")
    made = json.loads(worked(keys(folder, "create", "--json", *bounds)))
    seen = listed(folder)[made["id"]]
    assert seen["allowed_ips"] == ["192.0.2.7/32"]
    assert seen["expires_at"] is not None
    refused = keys(folder, "create", "--allow-ip", "192.0.2.7/8")
    assert refused.exit_code != 0
    assert "range" in refused.output
    assert "duration" in keys(folder, "create", "--expires-in", "soon").output


def test_a_rotated_key_works_beside_the_new_one(folder: Path) -> None:
    old = worked(keys(folder, "create")).strip()
    record = found(folder, old)
    assert record is not None
    new = worked(keys(folder, "rotate", record.id)).strip().splitlines()[-1]
    assert found(folder, old) is not None
    replacing = found(folder, new)
    assert replacing is not None
    assert listed(folder)[record.id]["replaced_by"] == replacing.id
    assert "already" in keys(folder, "rotate", record.id).output
    worked(keys(folder, "rotate", replacing.id, "--overlap", "0s"))
    assert found(folder, new) is None
    assert "There is no key" in keys(folder, "rotate", "key_nobody").output
