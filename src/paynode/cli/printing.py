"""How commands print: tables for people, JSON for scripts."""

import json
from collections.abc import Sequence
from typing import Any

import click
from msgspec import to_builtins

json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


def print_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest entry, two blanks apart."""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: Any) -> None:
    click.echo(json.dumps(to_builtins(value), indent=2, ensure_ascii=False))
