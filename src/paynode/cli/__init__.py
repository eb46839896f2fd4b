"""The command line: parse, call, print, exit code. One file per group of commands, imported when it is called.

A command is added in `COMMANDS`. What can be expected to go wrong ends in one sentence and an exit code of
`exit_codes.py` (see `problems.py`), never in a traceback. Where nobody reads on, as in `paynode trigger | head -1`, a
command ends without a word: click does that for a bare `BrokenPipeError`, and here it becomes bare.
"""

import errno
import os
import select
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any

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
    "invoice": "invoice",
    "pay": "pay",
    "listen": "listen",
    "trigger": "trigger",
}


class Commands(click.Group):
    """A group whose commands are imported when they are called: `paynode --version` must not cost half a second."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not all(map(_is_text, args)):
            raise click.UsageError("An argument is not text in UTF-8.", context)
        return super().parse_args(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(import_module(f"paynode.cli.{COMMANDS[name]}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ExceptionGroup as error:
            broken, others = error.split(BrokenPipeError)
            if broken is None or others is not None or not _is_reader_gone():
                raise
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None


def _is_reader_gone() -> bool:
    """Whether what this process prints goes into a pipe that nobody reads any more."""
    poll = select.poll()
    for output in (sys.__stdout__, sys.__stderr__):
        if output is not None:
            poll.register(output, 0)
    return any(state & select.POLLERR for _, state in poll.poll(0))


def _is_text(argument: str) -> bool:
    """Whether it can be stored and printed: bytes that are no UTF-8 arrive as halves of surrogate pairs."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


@click.group(
    cls=Commands, epilog=EXPLAINED, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
def main() -> None:
    """paynode: your own node for payments in crypto."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and paths may hold what a terminal cannot show
