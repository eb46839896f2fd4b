"""`paynode run`: the daemon, until SIGTERM or SIGINT."""

import os
from pathlib import Path

import click

from paynode.cli import logs
from paynode.cli.config_file import config_option, load
from paynode.cli.hardening import forget_credentials, harden
from paynode.cli.problems import told
from paynode.store import lock
from paynode.store.database import DatabaseProblem


@click.command("run")
@config_option
def run(config_path: Path) -> None:
    """Run the node until SIGTERM or SIGINT.

    It never makes a database: a missing one is an error, see `paynode init`.
    """
    with told():
        harden()
        config = load(config_path)
        forget_credentials(os.environ)
        logs.configure()
        if not config.node.data_dir.is_dir():
            raise DatabaseProblem(
                f"There is no data_dir at {config.node.data_dir}. A new node: run `paynode init`. An existing one: "
                "mount or restore its folder before starting, or money in flight is forgotten."
            )
        with lock.hold(config.node.data_dir):
            from paynode.daemon import run_daemon  # a second of imports, after every check that needs none

            run_daemon(config)
