"""Payment methods, as far as the database knows more of them than the config: their numbers, and what stores say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from paynode.store.database import Tx
from paynode.store.records import Columns


@dataclass(frozen=True, slots=True)
class MethodSetting:
    """What one store says about a method."""

    store_id: str
    method: str
    is_offered: bool = True
    minimum: Decimal | None = None  # of an invoice that offers it, in `minimum_currency`
    minimum_currency: str | None = None


SETTING = Columns(MethodSetting)


def number(tx: Tx, methods: Iterable[str]) -> Mapping[str, int]:
    """The numbers of all methods ever seen; those of `methods` that have none get one, in their order."""
    tx.run_many("insert into method_numbers (method) values (?) on conflict do nothing", [(each,) for each in methods])
    return numbers(tx)


def numbers(tx: Tx) -> Mapping[str, int]:
    """By method."""
    return {str(row[0]): int(row[1]) for row in tx.rows("select method, number from method_numbers order by number")}


def settings(tx: Tx, store_id: str) -> Mapping[str, MethodSetting]:
    """By method; of those that the store said nothing about there is none."""
    found = tx.rows(f"select {SETTING.sql} from method_settings where store_id = ?", (store_id,))
    return {setting.method: setting for setting in map(SETTING.decode, found)}


def save(tx: Tx, setting: MethodSetting) -> None:
    tx.run(f"replace into method_settings ({SETTING.sql}) values ({SETTING.placeholders})", SETTING.encode(setting))
