"""What can be expected to go wrong, told in a sentence with what to do about it; the rest is a bug and a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from typing import IO, Any

import apsw
import click

from paynode.cli.exit_codes import ExitCode
from paynode.config import ConfigMistakes
from paynode.domain.errors import Rejected
from paynode.operations.startup import StartupProblem
from paynode.store.database import CANNOT_WRITE, DatabaseProblem
from paynode.store.lock import AlreadyRunning

EXPECTED = (ConfigMistakes, StartupProblem, DatabaseProblem, AlreadyRunning, Rejected, apsw.Error)
LISTEN_ERRORS = (EADDRINUSE, EADDRNOTAVAIL, EACCES)
DISK_ERRORS = (ENOSPC, EDQUOT, EFBIG, EIO, EROFS)


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
    except BrokenPipeError:
        raise  # nobody reads on: no problem, and nobody to tell
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise Failure(ExitCode.IO, f"{place}{error.strerror}.") from None
    except (*EXPECTED, ExceptionGroup) as error:
        failure = _failure(innermost(error))
        if failure is None:
            raise
        raise failure from None


def innermost(error: Exception) -> Exception:
    """The one exception in trio's groups of one; the group itself if there are several."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _failure(error: Exception) -> Failure | None:
    """How to tell an expected error; None: it is a bug."""
    match error:
        case ConfigMistakes():
            count = len(error.mistakes)
            heading = "one mistake" if count == 1 else f"{count} mistakes"
            lines = "\n".join(f"  {mistake}" for mistake in error.mistakes)
            return Failure(ExitCode.CONFIG, f"{heading} in the config:\n{lines}")
        case StartupProblem():
            return Failure(ExitCode.CONFIG, str(error))
        case DatabaseProblem():
            return Failure(ExitCode.DATABASE, str(error))
        case AlreadyRunning():
            return Failure(ExitCode.BUSY, _already_running(error))
        case Rejected():
            return Failure(ExitCode.PROBLEM, error.detail)
        case apsw.BusyError():
            text = (
                "Another process holds the database. Try again; if it stays so, look for a second paynode or a backup."
            )
            return Failure(ExitCode.BUSY, text)
        case apsw.CorruptError() | apsw.NotADBError():
            return Failure(ExitCode.DATABASE, f"The database is damaged: {error}. Restore a backup.")
        case _ if isinstance(error, CANNOT_WRITE):
            text = f"The database cannot be written ({error}). Look for space on its disk, and at its owner and mode."
            return Failure(ExitCode.IO, text)
        case OSError(errno=errno) if errno in LISTEN_ERRORS:  # others, out of a service, are bugs
            text = f"An address of node.listen cannot be had: {error.strerror}. Stop what has it, or name another."
            return Failure(ExitCode.BUSY, text)
        case OSError(errno=errno) if errno in DISK_ERRORS:
            text = f"A file cannot be written: {error.strerror}. Look for space on the disk of node.data_dir."
            return Failure(ExitCode.IO, text)
    return None


def _already_running(running: AlreadyRunning) -> str:
    whose = "another process" if running.pid is None else f"process {running.pid}"
    return (
        f"A paynode already works on {running.data_dir}: {whose}. Two on one database would sign the same nonces. "
        "Stop it, or give this one a data_dir and a mnemonic of its own."
    )
