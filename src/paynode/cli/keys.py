"""`paynode keys`: make, list and revoke API keys."""

from collections.abc import Mapping
from pathlib import Path

import click

from paynode.cli.config_file import config_option, load
from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import now, opened
from paynode.cli.printing import print_json, print_table
from paynode.cli.problems import Failure, told
from paynode.domain.scopes import DEFAULT_SCOPES, NODE_SCOPES, STORE_SCOPES
from paynode.operations.api_keys import create_key
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import moment, moment_or_none
from paynode.store import api_keys
from paynode.store.api_keys import ApiKeyRecord

NODE = "node"
KEY_PREFIX = "key_"

json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.group("keys")
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@config_option
@click.option("--store", "store", help="The store whose key it is.  [default: main]")
@click.option("--node", "is_node", is_flag=True, help="A key of the node's owner, for every store.")
@click.option("--name", default="", help="What you call it.")
@click.option(
    "--scopes",
    default="",
    metavar="A,B",
    help=f"What it may do; by default every scope of its store. Stores: {', '.join(sorted(STORE_SCOPES))}. "
    f"Only for --node, and there by default: {', '.join(sorted(NODE_SCOPES))}.",
)
@json_option
def create(config_path: Path, store: str | None, is_node: bool, name: str, scopes: str, is_json: bool) -> None:
    """Make a key and print it: on stdout, this once.

    The database has only a hash of it.
    """
    if is_node and store is not None:
        raise click.UsageError("A key is either a store's or the node's: give --store or --node.")
    with told(), opened(load(config_path)) as (database, catalogue):
        default = STORE_SCOPES | NODE_SCOPES if is_node else DEFAULT_SCOPES
        wanted = [scope.strip() for scope in scopes.split(",")] if scopes else default
        store_id = None if is_node else _store_id(catalogue, store or "main")
        record, text = database.write(create_key, catalogue, store_id=store_id, name=name, scopes=wanted, now=now())
        if is_json:
            print_json({**_view(catalogue, record), "key": text})
        else:
            click.echo(f"{record.id} of {_owner(catalogue, record)}. The key is shown only now:", err=True)
            click.echo(text)


@keys.command("list")
@config_option
@json_option
def list_(config_path: Path, is_json: bool) -> None:
    """List every key; their secrets are not known here."""
    with told(), opened(load(config_path)) as (database, catalogue):
        records = database.read(api_keys.all_keys)
        if is_json:
            print_json([_view(catalogue, record) for record in records])
            return
        heading = ("ID", "OWNER", "NAME", "STATE", "CREATED", "LAST USED", "SCOPES")
        print_table(heading, [_row(catalogue, record) for record in records])


@keys.command("revoke")
@config_option
@click.argument("key_id", metavar="ID")
def revoke(config_path: Path, key_id: str) -> None:
    """Revoke the key with this ID (key_...), at once and for good.

    The ID is also the third part of the key itself, between underscores; `key_` may be left out.
    """
    key_id = key_id if key_id.startswith(KEY_PREFIX) else KEY_PREFIX + key_id
    with told(), opened(load(config_path)) as (database, _):
        if database.write(api_keys.revoke, key_id, now()):
            click.echo(f"{key_id} is revoked.")
        elif database.read(api_keys.by_id, key_id) is not None:
            click.echo(f"{key_id} was revoked before.")
        else:
            raise Failure(ExitCode.PROBLEM, "There is no key of that ID. `paynode keys list` shows them.")


def _store_id(catalogue: Catalogue, name: str) -> str:
    for store_id, known in catalogue.store_keys.items():
        if known == name:
            return store_id
    if name in catalogue.config.stores:
        text = f"Store {name} is in the config and not yet in the database. Run `paynode init`."
    else:
        text = f"There is no store {name}. Stores: {', '.join(catalogue.config.stores)}."
    raise Failure(ExitCode.PROBLEM, text)


def _owner(catalogue: Catalogue, record: ApiKeyRecord) -> str:
    if record.store_id is None:
        return NODE
    return f"store {catalogue.store_keys.get(record.store_id, record.store_id)}"


def _state(record: ApiKeyRecord) -> str:
    if record.revoked_at is not None:
        return "revoked"
    return "expired" if record.expires_at is not None and record.expires_at <= now() else "active"


def _row(catalogue: Catalogue, record: ApiKeyRecord) -> tuple[str, ...]:
    used = moment_or_none(record.last_used_at) or "never"
    made = moment(record.created_at)
    return (record.id, _owner(catalogue, record), record.name, _state(record), made, used, record.scopes)


def _view(catalogue: Catalogue, record: ApiKeyRecord) -> Mapping[str, object]:
    return {
        "id": record.id,
        "store": None if record.store_id is None else catalogue.store_keys.get(record.store_id),
        "name": record.name,
        "state": _state(record),
        "scopes": record.scopes.split(),
        "created_at": moment(record.created_at),
        "expires_at": moment_or_none(record.expires_at),
        "last_used_at": moment_or_none(record.last_used_at),
    }
