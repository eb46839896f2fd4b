"""What each problem's `code` means and what to do about it: read from the page that people read, docs/errors.md."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# One section of the page: the code, its status and title, the cause, and the remedy.
_SECTION = re.compile(
    r"^## `(?P<code>[a-z_]+)`\n\n\*\*(?P<status>\d{3}): (?P<title>[^*]+)\.\*\* (?P<cause>.+?)"
    r"\n\n\*What to do:\* (?P<remedy>.+?)(?=\n\n|\n*\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ProblemType:
    code: str
    status: int
    title: str
    cause: str  # Markdown, as is the remedy
    remedy: str


@cache
def problem_types() -> Mapping[str, ProblemType]:
    """All of them by code, in the page's order."""
    page = (files("paynode") / "docs" / "errors.md").read_text(encoding="utf-8")
    found = {
        part["code"]: ProblemType(
            part["code"], int(part["status"]), _one_line(part["title"]), part["cause"], part["remedy"]
        )
        for part in _SECTION.finditer(page)
    }
    if len(found) != page.count("\n## `"):
        raise AssertionError("a section of docs/errors.md does not have the form of the others")
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())
