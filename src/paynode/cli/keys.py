"""`paynode keys`: make, list, rotate and revoke API keys."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click

from paynode.cli.config_file import config_option, load
from paynode.cli.exit_codes import ExitCode
from paynode.cli.opening import now, opened
from paynode.cli.printing import json_option, print_json, print_table
from paynode.cli.problems import Failure, told
from paynode.domain.durations import parse_duration
from paynode.domain.errors import Conflict, NotFound
from paynode.domain.scopes import NODE_SCOPES, PRESETS, STORE_SCOPES
from paynode.operations.api_keys import OVERLAP_MAX, Terms, create_key, revoke_key, rotate_key
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import moment, moment_or_none
from paynode.store import api_keys
from paynode.store.api_keys import ApiKeyRecord

NODE = "node"
UNKNOWN = "There is no key of that ID. `paynode keys list` shows them."
KEY_PREFIX = "key_"


@click.group("keys")
def keys() -> None:
    """Make, list, rotate and revoke API keys."""


@keys.command("create")
@config_option
@click.option("--store", "store", help="The store whose key it is.  [default: main]")
@click.option("--node", "is_node", is_flag=True, help="A key of the node's owner, for every store.")
@click.option("--name", default="", help="What you call it.")
@click.option(
    "--scopes",
    metavar="A,B",
    help="What it may do; by default every scope of its store but those that move money or make keys. "
    f"Stores: {', '.join(sorted(STORE_SCOPES))}. "
    f"Only for --node, and there by default: {', '.join(sorted(NODE_SCOPES))}.",
)
@click.option("--preset", type=click.Choice(sorted(PRESETS)), help="Scopes by the name of their set, not by --scopes.")
@click.option(
    "--allow-ip",
    "allowed_ips",
    multiple=True,
    metavar="ADDRESS",
    help="An address or range that it works from, and from no other; may be repeated.",
)
@click.option("--expires-in", metavar="DURATION", help="How long it works, such as 90d.  [default: for ever]")
@json_option
def create(
    config_path: Path,
    store: str | None,
    is_node: bool,
    name: str,
    scopes: str | None,
    preset: str | None,
    allowed_ips: tuple[str, ...],
    expires_in: str | None,
    is_json: bool,
) -> None:
    """Make a key and print it: on stdout, this once.

    The database has only a hash of it.
    """
    if is_node and store is not None:
        raise click.UsageError("A key is either a store's or the node's: give --store or --node.")
    if scopes is not None and preset is not None:
        raise click.UsageError("Give --scopes or --preset, not both.")
    with told(), opened(load(config_path)) as (database, catalogue):
        at = now()
        default = STORE_SCOPES | NODE_SCOPES if is_node and preset is None else PRESETS[preset or "shop"]
        wanted = [scope.strip() for scope in scopes.split(",")] if scopes is not None else default
        terms = Terms(wanted, allowed_ips, None if expires_in is None else at + _span(expires_in, "--expires-in"))
        store_id = None if is_node else _store_id(catalogue, "main" if store is None else store)
        record, text = database.write(create_key, catalogue, store_id=store_id, name=name, terms=terms, now=at)
        _show(catalogue, record, text, is_json)


@keys.command("rotate")
@config_option
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap", default="24h", show_default=True, metavar="DURATION", help="How long the old key still works."
)
@json_option
def rotate(config_path: Path, key_id: str, overlap: str, is_json: bool) -> None:
    """Replace the key with this ID by a new one.

    The new one has the same bounds and is printed on stdout, this once.
    """
    span = _span(overlap, "--overlap")
    if span > OVERLAP_MAX:
        raise click.BadParameter(f"Give at most {OVERLAP_MAX.days} days.", param_hint="--overlap")
    with told(), opened(load(config_path)) as (database, catalogue):
        try:
            record, text = database.write(rotate_key, catalogue, _full(key_id), span, now())
        except NotFound as error:
            raise Failure(ExitCode.PROBLEM, UNKNOWN) from error
        except Conflict as error:
            raise Failure(ExitCode.PROBLEM, error.detail) from error
        _show(catalogue, record, text, is_json)


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
    key_id, at = _full(key_id), now()
    with told(), opened(load(config_path)) as (database, _):
        try:
            record = database.write(revoke_key, key_id, at)
        except NotFound as error:
            raise Failure(ExitCode.PROBLEM, UNKNOWN) from error
        click.echo(f"{key_id} is revoked." if record.revoked_at == at else f"{key_id} was revoked before.")


def _full(key_id: str) -> str:
    return key_id if key_id.startswith(KEY_PREFIX) else KEY_PREFIX + key_id


def _span(text: str, option: str) -> timedelta:
    span = parse_duration(text)
    if span is None:
        raise click.BadParameter("Give a duration such as 24h or 90d.", param_hint=option)
    return span


def _show(catalogue: Catalogue, record: ApiKeyRecord, text: str, is_json: bool) -> None:
    if is_json:
        print_json({**_view(catalogue, record), "key": text})
    else:
        click.echo(f"{record.id} of {_owner(catalogue, record)}. The key is shown only now:", err=True)
        click.echo(text)


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
        "allowed_ips": record.allowed_ips.split(),
        "created_at": moment(record.created_at),
        "expires_at": moment_or_none(record.expires_at),
        "last_used_at": moment_or_none(record.last_used_at),
        "replaced_by": record.replaced_by,
    }
