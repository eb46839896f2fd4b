"""Reading one TOML table: typed values come out, mistakes are noted, and what nobody asked for is refused.

A `Table` goes on after a mistake, so that one reading finds them all. It is a context manager: leaving it refuses
the keys that were never asked for, with the nearest one that was.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeVar

from paynode.config.mistakes import Mistake, Wrong, dotted

T = TypeVar("T")
D = TypeVar("D")


class Reading:
    """What one reading of a config has found."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.known_keys: set[str] = set()  # every key that was asked for, names the merchant chose written as `*`

    def note(self, key: str, problem: str, remedy: str) -> None:
        """Note a mistake, unless its key has one already: later ones mostly follow from the first."""
        if all(mistake.key != key for mistake in self.mistakes):
            self.mistakes.append(Mistake(key, problem, remedy))


class Table:
    """One table of the file; `key` is where it stands, `pattern` the same with chosen names as `*`."""

    def __init__(self, values: Mapping[str, object], reading: Reading, key: str = "", pattern: str = "") -> None:
        self._values = values
        self._reading = reading
        self._key = key
        self._pattern = pattern
        self._asked: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def holds(self, name: str, value: object) -> bool:
        """Whether the key stands there with just this value."""
        return self._values.get(name) == value

    def optional(self, name: str, parse: Callable[[object], T], default: D) -> T | D:
        """What `parse` makes of the value; `default` if there is none or it is wrong."""
        self._ask(name)
        if name not in self._values:
            return default
        try:
            return parse(self._values[name])
        except Wrong as wrong:
            self.note(name, wrong.problem, wrong.remedy)
            return default

    def required(self, name: str, parse: Callable[[object], T], remedy: str) -> T | None:
        """What `parse` makes of the value; None, with a mistake noted, if there is none or it is wrong."""
        if name not in self._values:
            self.note(name, "is missing", remedy)
        return self.optional(name, parse, None)

    def table(self, name: str) -> "Table":
        """The table under `name`, empty if there is none."""
        self._ask(name)
        return self._inner(name, name)

    def named_tables(self) -> Iterator[tuple[str, "Table"]]:
        """Each table in this one, with the name the merchant chose."""
        for name in self._values:
            self._asked.append(name)
            yield name, self._inner(name, "*")

    def named_values(self) -> Iterator[tuple[str, object]]:
        """Each value in this table, with the name the merchant chose."""
        self._reading.known_keys.add(dotted(self._pattern, "*"))
        for name, value in self._values.items():
            self._asked.append(name)
            yield name, value

    def over(self, defaults: Mapping[str, object]) -> "Table":
        """This table with what `defaults` has and it has not; tables of fixed keys (`native`, `sweep`) are merged key
        by key, tables of named tables (`tokens`) name by name."""
        merged = dict(defaults)
        for name, value in self._values.items():
            default = merged.get(name)
            merged[name] = {**default, **value} if isinstance(default, dict) and isinstance(value, dict) else value
        return Table(merged, self._reading, self._key, self._pattern)

    def note(self, name: str, problem: str, remedy: str) -> None:
        """Note a mistake of the key `name`, or of this table as a whole if `name` is empty."""
        self._reading.note(dotted(self._key, name) if name else self._key, problem, remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._refuse_unknown()

    def _refuse_unknown(self) -> None:
        for name in self._values:
            if name in self._asked:
                continue
            near = difflib.get_close_matches(name, self._asked, n=1, cutoff=0.5)
            remedy = f"Write `{near[0]}`, or remove it" if near else f"Known here: {', '.join(sorted(self._asked))}"
            self.note(name, "is not a known key", remedy)

    def _ask(self, name: str) -> None:
        self._asked.append(name)
        self._reading.known_keys.add(dotted(self._pattern, name))

    def _inner(self, name: str, pattern: str) -> "Table":
        values = self._values.get(name, {})
        if not isinstance(values, dict):
            self.note(name, "is not a table", f"Write it as [{dotted(self._key, name)}] or as {{ key = value }}")
            values = {}
        return Table(values, self._reading, dotted(self._key, name), dotted(self._pattern, pattern))
