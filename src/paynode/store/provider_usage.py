"""What each provider was asked on its last day: a node that is restarted every hour keeps to the day's budget.

Written rarely, since it changes with every call: what a kill takes is at most a minute, or so many calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from paynode.domain.budget import Usage
from paynode.store.database import Tx
from paynode.store.records import Columns

NOTED_EVERY = timedelta(minutes=1)
CALLS_UNNOTED_MAX = 100  # a tenth of the smallest budget


@dataclass(frozen=True, slots=True)
class UsageRecord:
    network: str
    provider: str
    day: str
    calls: int
    looks: int
    errors: int
    lies: int
    calls_saved: int
    seconds_waited: int
    noted_at: datetime

    @property
    def usage(self) -> Usage:
        return Usage(
            date.fromisoformat(self.day),
            self.calls,
            self.looks,
            self.errors,
            self.lies,
            self.calls_saved,
            self.seconds_waited,
        )


USAGE = Columns(UsageRecord)


def counted(tx: Tx, network: str) -> dict[str, Usage]:
    """By provider, what was noted last."""
    return {name: record.usage for name, record in _records(tx, network).items()}


def is_due(tx: Tx, network: str, usage_by_provider: Mapping[str, Usage], now: datetime) -> bool:
    """Whether it is time to note down what has changed."""
    noted = _records(tx, network)
    for name, usage in usage_by_provider.items():
        if (last := noted.get(name)) is None:
            if usage.calls:
                return True
        elif usage != last.usage and (
            abs(now - last.noted_at) >= NOTED_EVERY or abs(usage.calls - last.calls) >= CALLS_UNNOTED_MAX
        ):
            return True
    return False


def note(tx: Tx, network: str, usage_by_provider: Mapping[str, Usage], now: datetime) -> None:
    """Note down the usage of all of a network's providers; others are forgotten."""
    tx.run("delete from provider_usage where network = ?", (network,))
    for name, usage in usage_by_provider.items():
        record = UsageRecord(
            network,
            name,
            usage.day.isoformat(),
            usage.calls,
            usage.looks,
            usage.errors,
            usage.lies,
            usage.calls_saved,
            usage.seconds_waited,
            now,
        )
        tx.run(USAGE.insert("provider_usage"), USAGE.encode(record))


def _records(tx: Tx, network: str) -> dict[str, UsageRecord]:
    rows = tx.rows(f"select {USAGE.sql} from provider_usage where network = ?", (network,))
    return {record.provider: record for record in map(USAGE.decode, rows)}
