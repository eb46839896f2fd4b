"""Which config a command works with: `-c`, else the system's, else the one in this folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from paynode.config import Config, load_config

SYSTEM = Path("/etc/paynode/paynode.toml")
LOCAL = Path("paynode.toml")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # compared with, not bound to

C = TypeVar("C", bound=Callable[..., Any])


def default_path() -> Path:
    return SYSTEM if SYSTEM.exists() else LOCAL


def config_option(command: C) -> C:
    """Give a command `-c`; it gets the path as `config_path`."""
    option = click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=default_path,
        show_default=f"{SYSTEM} if there is one, else ./{LOCAL}",
        help="The config file.",
    )
    return option(command)


def load(path: Path, *, require_mnemonic: bool = True) -> Config:
    """The config at `path`, with secrets from this process's environment.

    Raises:
        ConfigMistakes: everything that is wrong with it.
    """
    return load_config(path, environ=os.environ, require_mnemonic=require_mnemonic)


def local_url(listen: str) -> str:
    """Where a node that listens there answers on this machine."""
    host, _, port = listen.rpartition(":")
    return f"http://{EVERYWHERE.get(host, host)}:{port}"
