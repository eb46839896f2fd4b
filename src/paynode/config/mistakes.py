"""What can be wrong with a config file: each mistake names its key, the problem and a remedy.

A problem never repeats the value it complains of: a value in the wrong place may be a secret.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BARE_KEY = re.compile(r"[A-Za-z0-9_*-]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to correct."""

    key: str  # dotted, as in TOML: networks.eth.treasury; empty: the file itself
    problem: str
    remedy: str

    def __str__(self) -> str:
        subject = f"{self.key}: " if self.key else ""
        return f"{subject}{self.problem}. {self.remedy}."


class ConfigMistakes(Exception):
    """The config cannot be used; `mistakes` has everything that is wrong with it."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class Wrong(Exception):
    """One value cannot be accepted. Raised by what parses it; the table it stands in adds the key."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


def dotted(key: str, name: str) -> str:
    """The key of `name` in the table `key`, as TOML writes it; `*` stands for any name."""
    name = name if _BARE_KEY.fullmatch(name) else f'"{name}"'
    return f"{key}.{name}" if key else name
