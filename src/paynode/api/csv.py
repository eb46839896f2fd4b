"""CSV as spreadsheets take it (RFC 4180, UTF-8): no cell of it is ever run as a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

MEDIA = "text/csv"
_FORMULA = ("=", "+", "-", "@")  # and what spreadsheets take for one of these
_WIDE = ("＝", "＋", "－", "＠")  # noqa: RUF001 - they are meant
_QUOTED = frozenset('",\r\n')

Cell = object  # a text, a number, a flag, None, or texts: several or by name


def line(cells: Iterable[Cell]) -> bytes:
    """One row."""
    return f"{','.join(map(_written, cells))}\r\n".encode()


def _written(cell: Cell) -> str:
    text = _text(cell)
    if _is_formula(text) and not _is_number(text):
        text = f"'{text}"
    return '"{}"'.format(text.replace('"', '""')) if not _QUOTED.isdisjoint(text) or text != text.strip() else text


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may take it for one, by its first character or the first that is seen."""
    if text.startswith(("\t", "\r", "\n")):
        return True
    seen = next((at for at, character in enumerate(text) if not _is_unseen(character)), len(text))
    return text.startswith((*_FORMULA, *_WIDE), seen)


def _is_unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str() | int():
            return str(cell)
        case Mapping():
            return json.dumps(dict(cell), ensure_ascii=False) if cell else ""
        case Sequence():
            return " ".join(map(str, cell))
    raise AssertionError(f"{type(cell).__name__} is nothing that a cell holds")


def _is_number(text: str) -> bool:
    """An amount may be negative; what is a plain number is no formula."""
    if not text.lstrip("-").replace(".", "", 1).isdigit():
        return False
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
