"""The table: what was measured, what was aimed at, and on what machine."""

import math
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

COMMITS = 300


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. `at_most` and `at_least` are its target; with neither it is shown for comparison only."""

    figure: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {self.unit}"
        return "" if self.at_least is None else f"≥ {self.at_least:g} {self.unit}"

    @property
    def ratio(self) -> str:
        """How far the figure is on the good side of its target: 1 meets it, 2 is twice as good."""
        if self.at_most is not None:
            return f"{self.at_most / self.value:.2f}" if self.value > 0 else "∞"
        return "" if self.at_least is None else f"{self.value / self.at_least:.2f}"


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of the values that `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def machine() -> str:
    """What a reader needs to know to compare: cores, how busy they were, and how dear a commit is here."""
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, load average {load}; Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}; bare commits with synchronous=FULL: {commits_per_second():.0f}/s"
    )


def commits_per_second() -> float:
    """What the disk allows now: on a shared machine it changes tenfold within minutes."""
    with tempfile.TemporaryDirectory(prefix="paynode-bench-") as folder:
        connection = apsw.Connection(str(Path(folder) / "yardstick.db"))
        for sql in ("pragma journal_mode = wal", "pragma synchronous = full", "create table t (x text)"):
            connection.execute(sql).fetchall()
        started = time.perf_counter()
        for _ in range(COMMITS):
            connection.execute("insert into t values (?)", ("x" * 200,)).fetchall()
        seconds = time.perf_counter() - started
        connection.close()
    return COMMITS / seconds


def show(lines: Sequence[Line]) -> None:
    """Print lines under the table's head, which is `HEAD`."""
    for line in lines:
        measured = f"{line.value:,.{0 if line.value >= 100 else 1 if line.value >= 10 else 2}f} {line.unit}"
        print(f"{line.figure:<66} {measured:>16}  {line.target:>16}  {line.ratio:>6}", flush=True)


HEAD = f"{'figure':<66} {'measured':>16}  {'target':>16}  {'ratio':>6}"
