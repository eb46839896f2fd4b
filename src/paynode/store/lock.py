"""The lock of a data directory: one daemon at a time (C12).

The kernel drops it when its holder ends, however that happens, so a lock is never stale. A copy of the directory
elsewhere has a lock of its own; that somebody else signs with the same keys shows in the chain's nonces.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "lock"
PID_BYTES_MAX = 32


class AlreadyRunning(Exception):
    """Another process works on this data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        super().__init__(data_dir, pid)
        self.data_dir = data_dir
        self.pid = pid  # None: it has not said yet


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Keep every other daemon away from `data_dir`.

    Raises:
        AlreadyRunning: one is there.
        FileNotFoundError: there is no such directory.
    """
    lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(lock, PID_BYTES_MAX).strip()
            raise AlreadyRunning(data_dir, int(text) if text.isdigit() else None) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)  # the file stays: removing it would let two hold "the lock" of one name
