"""What can be expected to go wrong, told in a sentence with what to do about it; the rest is a bug and a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import apsw
import click

from paynode.cli.exit_codes import ExitCode
from paynode.config import ConfigMistakes
from paynode.domain.errors import Rejected
from paynode.operations.startup import StartupProblem
from paynode.store.database import DatabaseProblem
from paynode.store.lock import AlreadyRunning


class Failure(click.ClickException):
    """The command ends here, with this exit code and this text on stderr."""

    def __init__(self, code: ExitCode, text: str) -> None:
        super().__init__(text)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance as well

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"paynode: {self.message}", file=file, err=file is None)


@contextmanager
def told() -> Iterator[None]:
    """Turn the problems that people can do something about into a `Failure`."""
    try:
        yield
    except ConfigMistakes as mistakes:
        count = len(mistakes.mistakes)
        heading = "one mistake" if count == 1 else f"{count} mistakes"
        lines = "\n".join(f"  {mistake}" for mistake in mistakes.mistakes)
        raise Failure(ExitCode.CONFIG, f"{heading} in the config:\n{lines}") from None
    except StartupProblem as problem:
        raise Failure(ExitCode.CONFIG, str(problem)) from None
    except DatabaseProblem as problem:
        raise Failure(ExitCode.DATABASE, str(problem)) from None
    except AlreadyRunning as running:
        raise Failure(ExitCode.BUSY, _already_running(running)) from None
    except Rejected as rejected:
        raise Failure(ExitCode.PROBLEM, rejected.detail) from None
    except apsw.BusyError:
        text = (
            "Another process holds the database. Try again; if it stays so, look for a second paynode or a backup tool."
        )
        raise Failure(ExitCode.BUSY, text) from None
    except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError) as problem:
        text = f"The database cannot be written ({problem}). Look for space on its disk, and at its owner and mode."
        raise Failure(ExitCode.IO, text) from None
    except OSError as problem:
        place = f"{problem.filename}: " if problem.filename else ""
        raise Failure(ExitCode.IO, f"{place}{problem.strerror}.") from None


def _already_running(running: AlreadyRunning) -> str:
    whose = "another process" if running.pid is None else f"process {running.pid}"
    return (
        f"A paynode already works on {running.data_dir}: {whose}. Two on one database would sign the same nonces. "
        "Stop it, or give this one a data_dir and a mnemonic of its own."
    )
