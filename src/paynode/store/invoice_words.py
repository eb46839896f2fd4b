"""Free text: which invoices hold words that begin as the given ones do.

FTS5 gathers all that a beginning stands for before it gives the first row, which takes long where many words begin so.
So the words that exist are looked up first, and asked for by name: those are given one by one, in the order of lists.
"""

from collections.abc import Mapping

from paynode.store.database import Tx

WORDS_MAX = 8  # of one text; more are not looked at
BEGINNINGS_MAX = 32  # words that one beginning stands for, the first of the alphabet; but
PLACES_MAX = 5_000  # all of them, if they stand in no more places than that

_NEXT = "\x01"  # added to a word: the least that comes after it
_LAST = "\U0010ffff"  # added to a beginning: what comes after all that begins so


def of_text(tx: Tx, text: str) -> str | None:
    """The match expression for invoices that hold for each word of `text` one that begins so; None: there is none."""
    words = tx.words(text)[:WORDS_MAX]
    parts = [_beginning(tx, word) for word in words]
    return " AND ".join(part for part in parts if part) if parts and all(parts) else None


def of_metadata(tx: Tx, metadata: Mapping[str, str]) -> str:
    """A match expression that every invoice with this metadata meets, and few others."""
    names = [f"kx{name.encode().hex()}" for name in metadata]
    words = [word for value in metadata.values() for word in tx.words(value)[:WORDS_MAX]]
    return " AND ".join(f'"{word}"' for word in (*names, *words))


def _beginning(tx: Tx, word: str) -> str:
    """The expression for all words that begin as `word`; '' if there are none."""
    found: list[str] = []
    least = word
    while len(found) <= BEGINNINGS_MAX:
        row = tx.row("select term from invoice_word_places where term >= ? limit 1", (least,))
        if row is None or not row[0].startswith(word):
            break
        found.append(row[0])
        least = row[0] + _NEXT
    if len(found) > BEGINNINGS_MAX and _place_count(tx, word) < PLACES_MAX:
        return f'"{word}" *'
    named = " OR ".join(f'"{each}"' for each in found[:BEGINNINGS_MAX])
    return f"({named})" if named else ""


def _place_count(tx: Tx, word: str) -> int:
    row = tx.row(
        "select count(*) from (select 1 from invoice_word_places where term >= ? and term <= ? limit ?)",
        (word, word + _LAST, PLACES_MAX),
    )
    assert row is not None, "an aggregate always answers"
    return int(row[0])
