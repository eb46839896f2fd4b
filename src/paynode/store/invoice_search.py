"""Which invoices fit a filter, in the order of a list: no combination of conditions takes long to answer.

What an invoice can be filtered by has few values: invoices that agree in all of it are one group, and `invoice_groups`
says how many each has. Within a group the indexes hold them in the order of the list, so a list is a merge of groups.
Other conditions may leave few: words, an order id, metadata, a narrow range. If one of them does, these few are looked
at one by one; if none does, there are many, and a walk in the order of the list soon finds as many as a page has.
"""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from paynode.domain.errors import Invalid
from paynode.store import invoice_words
from paynode.store.database import Tx, Value
from paynode.store.ids import created_ms
from paynode.store.pages import STEPS_MAX
from paynode.store.times import to_ms

SERIAL_BITS = 16  # of a serial, below its milliseconds
SERIAL_MAX = (1 << 63) - 1
FEW = 1000  # so many invoices are looked at one by one
FEW_TO_MATCH = 200  # so many are asked one by one for words, which is dear
BEGINNING_MIN = 8  # characters of an id, an address or a hash that are enough to look for it

Position = tuple[str, str, int]  # currency and amount key, '' where age orders; serial
Walk = Iterator[tuple[Position, bool]]  # in the order of the list, and whether each fits

_AFTER = "\U0010ffff"  # added to a beginning: what comes after all that begins so
_IN_GROUPS = "i.group_no in (select value from json_each(:groups))"
_HAS_WORDS = (
    "i.serial in (select w.rowid from invoice_words w where w.invoice_words match :match and w.rowid = i.serial)"
)
_NAMED = (
    "select i.serial from invoices i where i.id >= :from and i.id < :to union "
    "select i.serial from (select distinct family from accounts) f cross join holdings h "
    "on h.family = f.family and h.address >= :from and h.address < :to join invoices i on i.id = h.invoice_id union "
    "select i.serial from networks n cross join chain_rows r on r.network = n.network "
    "and r.tx_hash >= :hash_from and r.tx_hash < :hash_to join deposits d on d.row_id = r.id "
    "join invoices i on i.id = d.invoice_id"
)


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """What a list is narrowed to; by what is left empty it is not."""

    store_ids: Sequence[str] | None = None
    types: Sequence[str] = ()
    statuses: Sequence[str] = ()
    payment_states: Sequence[str] = ()
    sweep_states: Sequence[str] = ()
    screenings: Sequence[str] = ()
    methods: Sequence[str] = ()  # offers one of them
    is_late: bool | None = None
    is_archived: bool | None = None
    currency: str | None = None
    amount_min: Decimal | None = None  # in `currency`
    amount_max: Decimal | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    order_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None  # words, or the beginning of an id, an address or a transaction's hash


@dataclass(frozen=True, slots=True)
class Group:
    number: int
    currency: str
    count: int


class Search:
    """A filter with all that had to be looked up for it: which groups, which words, which few if there are few."""

    def __init__(self, tx: Tx, wanted: InvoiceFilter, *, by_amount: bool) -> None:
        self._tx = tx
        self._wanted = wanted
        self._by_amount = by_amount
        self.groups = _groups(tx, wanted)
        self._values: dict[str, Value] = {"groups": json.dumps([group.number for group in self.groups])}
        self._created, self._amount, self._rest = self._conditions()
        self._few: Sequence[int] | None = None  # all that can fit
        self._has_words = False  # that are not in `_few` already
        self._narrow()

    @property
    def is_told_by_groups(self) -> bool:
        return self._few is None and not (self._has_words or self._created or self._amount or self._rest)

    @property
    def steps_max(self) -> int:
        return FEW_TO_MATCH if self._has_words and self._by_amount else STEPS_MAX

    def id_at(self, position: Position) -> str:
        row = self._tx.row("select id from invoices where serial = ?", (position[-1],))
        assert row is not None, "it was just read"
        return str(row[0])

    def position(self, invoice_id: str) -> Position:
        """Where an invoice stands in this list, or would."""
        row = self._tx.row("select store_id, currency, amount_key, serial from invoices where id = ?", (invoice_id,))
        is_known = row is not None and (self._wanted.store_ids is None or row[0] in self._wanted.store_ids)
        if row is not None and is_known:
            return (row[1], row[2], row[3]) if self._by_amount else ("", "", row[3])
        if self._by_amount:
            raise Invalid.field(
                "starting_after", "unknown_invoice", "A list by amount goes on from an invoice of its own."
            )
        return "", "", _serial(created_ms(invoice_id))

    def walk(self, start: Position | None, *, up: bool) -> Walk:
        """Every entry beyond `start`, upwards or downwards."""
        if self._few is not None:
            return self._few_in_order(self._few, start, up=up)
        if not self._by_amount and self._has_words:
            source = "invoice_words w cross join invoices i on i.serial = w.rowid where w.invoice_words match :match"
            return self._by_age(source, "w.rowid", start, up=up)
        if not self._by_amount and self._wanted.order_id is not None:
            source = "invoices i indexed by invoices_of_order where i.order_id = :order_id"
            return self._by_age(source, "i.serial", start, up=up)
        walks = [self._of_group(group, start, up=up) for group in self.groups]
        return heapq.merge(*walks, reverse=not up)

    def _by_age(self, source: str, serial: str, start: Position | None, *, up: bool) -> Walk:
        """By an index in the order of age that knows nothing of groups."""
        sign, order = (">", "asc") if up else ("<", "desc")
        beyond = "" if start is None else f"and {serial} {sign} :start"
        values = self._values | {"start": None if start is None else start[-1]}
        created = "".join(f" and {each.replace('i.serial', serial)}" for each in self._created)
        checks = _all([_IN_GROUPS, *self._amount, *self._rest])
        for found, fits in self._tx.each(
            f"select {serial}, {checks} from {source}{created} {beyond} order by {serial} {order}", values
        ):
            yield ("", "", found), bool(fits)

    def _of_group(self, group: Group, start: Position | None, *, up: bool) -> Walk:
        """One group, by age or by amount."""
        sign, order = (">", "asc") if up else ("<", "desc")
        values = self._values | {"group": group.number}
        if self._by_amount:
            index, key, currency = "invoices_by_amount", "i.amount_key", group.currency
            sought, checked = self._amount, self._created
        else:
            index, key, currency = "invoices_of_group", "''", ""
            sought, checked = self._created, self._amount
        beyond = ""
        if start is not None and start[0] == currency:
            beyond = (
                f"and (i.amount_key, i.serial) {sign} (:key, :start)"
                if self._by_amount
                else f"and i.serial {sign} :start"
            )
            values |= {"key": start[1], "start": start[2]}
        elif start is not None and (currency > start[0]) is not up:
            return
        match = [_HAS_WORDS] if self._has_words else []
        for amount_key, serial, fits in self._tx.each(
            f"select {key}, i.serial, {_all([*checked, *self._rest, *match])} from invoices i indexed by {index} "
            f"where {_all(['i.group_no = :group', *sought])} {beyond} "
            f"order by {'i.amount_key ' + order + ', ' if self._by_amount else ''}i.serial {order}",
            values,
        ):
            yield (currency, amount_key, serial), bool(fits)

    def _few_in_order(self, few: Sequence[int], start: Position | None, *, up: bool) -> Walk:
        match = [_HAS_WORDS] if self._has_words else []
        columns = "i.currency, i.amount_key, i.serial" if self._by_amount else "'', '', i.serial"
        rows = self._tx.rows(
            f"select {columns} from invoices i where i.serial in (select value from json_each(:few)) "
            f"and {_all([_IN_GROUPS, *self._created, *self._amount, *self._rest, *match])}",
            self._values | {"few": json.dumps(few)},
        )
        for row in sorted(rows, reverse=not up):
            position: Position = (row[0], row[1], row[2])
            if start is None or (position > start if up else position < start):
                yield position, True

    def _conditions(self) -> tuple[list[str], list[str], list[str]]:
        """On the moment, on the amount, and the rest, of invoices `i`."""
        wanted, values = self._wanted, self._values
        created, amount, rest = [], [], []
        if wanted.created_after is not None:
            created.append("i.serial >= :created_after")
            values["created_after"] = _serial(to_ms(wanted.created_after) + 1)
        if wanted.created_before is not None:
            created.append("i.serial < :created_before")
            values["created_before"] = _serial(to_ms(wanted.created_before))
        if wanted.amount_min is not None:
            amount.append("i.amount_key >= :amount_min")
            values["amount_min"] = amount_key(wanted.amount_min)
        if wanted.amount_max is not None:
            amount.append("i.amount_key <= :amount_max and i.amount_key <> ''")
            values["amount_max"] = amount_key(wanted.amount_max)
        if wanted.order_id is not None:
            rest.append("i.order_id = :order_id")
            values["order_id"] = wanted.order_id
        for at, (name, value) in enumerate(wanted.metadata.items()):
            rest.append(
                f"exists (select 1 from json_each(i.metadata) m where m.key = :name{at} and m.value = :value{at})"
            )
            values |= {f"name{at}": name, f"value{at}": value}
        return created, amount, rest

    def _narrow(self) -> None:
        """Look for conditions that leave few; what all of these leave is all that can fit."""
        wanted, words = self._wanted, []
        choices: list[set[int]] = []
        if wanted.text is not None:
            named = self._named(wanted.text)
            if named:
                choices.append(named)
            else:
                words.append(invoice_words.of_text(self._tx, wanted.text))
        if wanted.metadata:
            words.append(invoice_words.of_metadata(self._tx, wanted.metadata))
        if None in words:
            self._few = []
            return
        if words:
            self._values["match"] = " AND ".join(f"({each})" for each in words)
            where = _all(["invoice_words match :match", *(each.replace("i.serial", "rowid") for each in self._created)])
            matching = self._serials(f"select rowid from invoice_words where {where} order by rowid desc", FEW)
            self._has_words = matching is None
            choices += [] if matching is None else [matching]
        most = FEW_TO_MATCH if self._has_words else FEW
        choices += [few for few in self._few_by_columns(most) if few is not None]
        if choices:
            self._few = sorted(set.intersection(*choices))

    def _few_by_columns(self, most: int) -> Iterator[set[int] | None]:
        if self._wanted.order_id is not None:
            yield self._serials("select serial from invoices i where i.order_id = :order_id", most)
        if sum(group.count for group in self.groups) <= most:
            yield self._serials(f"select i.serial from invoices i where {_IN_GROUPS}", most)
        for index, conditions in (("invoices_by_amount", self._amount), ("invoices_of_group", self._created)):
            if conditions:
                yield self._serials(
                    "select i.serial from json_each(:groups) g cross join "
                    f"invoices i indexed by {index} on i.group_no = g.value where {_all(conditions)}",
                    most,
                )

    def _serials(self, sql: str, most: int) -> set[int] | None:
        """What a query brings, if it is no more than that."""
        found = self._tx.rows(f"{sql} limit {most + 1}", self._values)
        return {serial for (serial,) in found} if len(found) <= most else None

    def _named(self, text: str) -> set[int]:
        """The invoices whose id, or an address or a payment's hash of theirs, begins as `text`."""
        if len(text) < BEGINNING_MIN or not text.replace("_", "").isalnum():
            return set()
        found = self._tx.rows(
            f"{_NAMED} limit {FEW}",
            {"from": text, "to": text + _AFTER, "hash_from": text.lower(), "hash_to": text.lower() + _AFTER},
        )
        return {serial for (serial,) in found}


def _groups(tx: Tx, wanted: InvoiceFilter) -> list[Group]:
    """The groups that fit."""
    conditions, values = ["1"], dict[str, Value]()
    for column, allowed in (
        ("store_id", wanted.store_ids),
        ("type", wanted.types or None),
        ("status", wanted.statuses or None),
        ("payment_state", wanted.payment_states or None),
        ("sweep_state", wanted.sweep_states or None),
        ("screening", wanted.screenings or None),
        ("is_late", None if wanted.is_late is None else [wanted.is_late]),
        ("is_archived", None if wanted.is_archived is None else [wanted.is_archived]),
        ("currency", None if wanted.currency is None else [wanted.currency]),
    ):
        if allowed is not None:
            conditions.append(f"{column} in (select value from json_each(:{column}))")
            values[column] = json.dumps([int(each) if isinstance(each, bool) else each for each in allowed])
    if wanted.methods:
        conditions.append(
            "exists (select 1 from json_each(:methods) m where instr(methods, ' ' || m.value || ' ') > 0)"
        )
        values["methods"] = json.dumps(wanted.methods)
    found = tx.rows(f"select id, currency, count from invoice_groups where {' and '.join(conditions)}", values)
    return [Group(*row) for row in found]


def _serial(ms: int) -> int:
    """The least of a millisecond; of one so late that SQLite could not hold it, the last that it can."""
    return min(ms << SERIAL_BITS, SERIAL_MAX)


def amount_key(amount: Decimal) -> str:
    """What `invoices.amount_key` is of an amount: it sorts as the amount does."""
    whole, _, fraction = format(amount, "f").partition(".")
    fraction = fraction.rstrip("0")
    return f"{len(whole):03d}{whole}{'.' if fraction else ''}{fraction}"


def _all(conditions: Iterable[str]) -> str:
    return " and ".join(conditions) or "1"
