"""Files that are made once: whole or not at all, only for their owner's eyes, and never over another file."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure

FILE_MODE = 0o600
FOLDER_MODE = 0o700


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name in the same folder for what is to become `path`; nothing stays of it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def write_synced(path: Path, text: str) -> None:
    """A new file with that text, on the disk when this returns."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def put_in_place(draft: Path, path: Path) -> None:
    """Give the finished file its name.

    Raises:
        Failure: something has that name already; it is left as it is.
    """
    try:
        os.link(draft, path)  # rename would replace what is there
    except FileExistsError:
        raise Failure(ExitCode.EXISTS, f"{path} already exists and is left as it is.") from None
    _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, and the ones above it, if it is not there."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=FOLDER_MODE)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
