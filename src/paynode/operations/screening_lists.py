"""The lists of addresses that money is not taken from, as files were last read: which are in use, and what is wrong.

A file that cannot be used leaves the last good one in force. What a new one names is kept back in the same
transaction, so that no sweep is planned in between.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import structlog

from paynode.domain.durations import format_duration
from paynode.domain.events import EventType
from paynode.operations.announcing import announce
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import Moment, View, moment, moment_or_none
from paynode.store import bells, outbox, screening
from paynode.store.database import Tx
from paynode.store.screening import ListRecord

FEW = 20  # a list of fewer addresses may shrink as it likes
SUBJECT = "screening"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReadList:
    """A file as it was read."""

    hash: bytes
    addresses: Collection[str]  # as the chains that we follow write them
    address_count: int  # of any chain
    as_of: datetime  # the file's own time


def take(tx: Tx, catalogue: Catalogue, name: str, read: ReadList, now: datetime) -> bool:
    """Use a file from now on, unless it looks like half of one; tells whether its addresses are others than before."""
    known = screening.list_named(tx, name) or ListRecord(name)
    if known.hash == read.hash:
        if (known.as_of, known.problem) != (read.as_of, None):
            screening.save_list(tx, replace(known, as_of=read.as_of, problem=None))
            _ask_again(tx, now)
        return False
    if known.address_count >= FEW and read.address_count * 2 < known.address_count:
        problem = f"has {read.address_count} addresses and had {known.address_count}: it looks like a part of a file"
        refuse(tx, name, problem)
        return False
    screening.save_list(tx, ListRecord(name, read.hash, read.address_count, read.as_of))
    screening.replace_addresses(tx, name, read.addresses)
    log.info("screening_list_read", list=name, addresses=read.address_count, followed=len(read.addresses))
    _ask_again(tx, now)
    return True


def _ask_again(tx: Tx, now: datetime) -> None:
    screening.ask_about_unscreened(tx, now)
    tx.ring(bells.SCREENING)


def refuse(tx: Tx, name: str, problem: str) -> None:
    """Go on with the last good file, and say why."""
    known = screening.list_named(tx, name) or ListRecord(name)
    if known.problem != problem:
        log.error("screening_list_refused", list=name, reason=problem)
        screening.save_list(tx, replace(known, problem=problem))


def unusable(tx: Tx, catalogue: Catalogue, now: datetime) -> Mapping[str, str]:
    """By name, the lists that nothing can be told from, each with the reason: there is none, or it is too old."""
    config, known = catalogue.config.screening, {record.name: record for record in screening.lists(tx)}
    found = {}
    for file in config.deny_files:
        record = known.get(file.name) or ListRecord(file.name)
        if record.as_of is None:
            found[file.name] = record.problem or "was not read yet"
        elif config.age_max is not None and now - record.as_of > config.age_max:
            since = moment(record.as_of)
            found[file.name] = f"is of {since}, older than screening.max_age ({format_duration(config.age_max)})"
    return found


def troubles(tx: Tx, catalogue: Catalogue, now: datetime) -> Mapping[str, str]:
    """By name, the lists that somebody should look at: those, and those whose newest file is not used."""
    refused = {record.name: record.problem for record in screening.lists(tx) if record.problem is not None}
    return {**refused, **unusable(tx, catalogue, now)}


def tell(tx: Tx, catalogue: Catalogue, now: datetime) -> None:
    """Announce it once if a list became unfit, and once if all are well again."""
    found = troubles(tx, catalogue, now)
    is_told = outbox.newest_type(tx, SUBJECT) == EventType.SCREENING_LISTS_DEGRADED
    if bool(found) is not is_told:
        kind = EventType.SCREENING_LISTS_DEGRADED if found else EventType.SCREENING_LISTS_RECOVERED
        announce(tx, catalogue, kind, subject=SUBJECT, store_id=None, view=view(tx, catalogue, now), now=now)


class ScreeningListView(View, frozen=True):
    name: str
    addresses: int
    as_of: Moment | None
    problem: str | None


class ScreeningView(View, frozen=True, tag_field="object", tag="screening"):
    state: Literal["ok", "degraded"]
    lists: list[ScreeningListView]


def view(tx: Tx, catalogue: Catalogue, now: datetime) -> ScreeningView:
    """How screening is, for the node's owner."""
    found = troubles(tx, catalogue, now)
    known = {record.name: record for record in screening.lists(tx)}
    records = [known.get(file.name) or ListRecord(file.name) for file in catalogue.config.screening.deny_files]
    return ScreeningView(
        state="degraded" if found else "ok",
        lists=[
            ScreeningListView(
                name=record.name,
                addresses=record.address_count,
                as_of=moment_or_none(record.as_of),
                problem=found.get(record.name),
            )
            for record in records
        ],
    )
