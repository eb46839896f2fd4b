"""Crash points: places where a test may kill the process, to show that nothing is lost and nothing happens twice.

A node started with `PAYNODE_CRASH_AT=<n>` kills itself with SIGKILL at the n-th point it passes; without it,
passing a point does nothing.
"""

import os
import signal
from collections.abc import Mapping

VARIABLE = "PAYNODE_CRASH_AT"


class CrashPoints:
    """Counts the points passed, and dies at the one that was asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        text = environ.get(VARIABLE, "")
        self._die_at = int(text) if text.isdecimal() else None
        self._passed = 0

    def before_commit(self) -> None:
        self.passing("before commit")

    def after_commit(self) -> None:
        self.passing("after commit")

    def passing(self, point: str) -> None:
        if self._die_at is None:
            return
        self._passed += 1
        if self._passed == self._die_at:
            os.write(2, f"crash point {self._passed}: {point}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
