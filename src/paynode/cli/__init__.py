"""The command line: parse, call, print, exit code. One file per group of commands, imported when it is called.

A command is added in `COMMANDS`. What can be expected to go wrong ends in one sentence and an exit code of
`exit_codes.py` (see `problems.py`), never in a traceback.
"""

from importlib import import_module

import click

from paynode import __version__
from paynode.cli.exit_codes import EXPLAINED

# name -> module of this package; the command is the attribute of that name
COMMANDS = {
    "demo": "demo",
    "init": "init",
    "check": "check",
    "run": "run",
    "status": "status",
    "keys": "keys",
    "resume": "resume",
    "rescan": "rescan",
}


class Commands(click.Group):
    """A group whose commands are imported when they are called: `paynode --version` must not cost half a second."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(import_module(f"paynode.cli.{COMMANDS[name]}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=Commands, epilog=EXPLAINED, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
def main() -> None:
    """paynode: your own node for payments in crypto."""
