"""Methods that are not offered although the config lists them, as their contract says something else."""

from collections.abc import Mapping
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.times import to_ms


def replace(tx: Tx, network: str, reason_by_method: Mapping[str, str], now: datetime) -> None:
    """Refuse these methods of a network, and no others."""
    tx.run("delete from refused_methods where network = ?", (network,))
    tx.run_many(
        "insert into refused_methods (method, network, reason, at) values (?, ?, ?, ?)",
        [(method, network, reason, to_ms(now)) for method, reason in reason_by_method.items()],
    )


def reasons(tx: Tx) -> Mapping[str, str]:
    """By method."""
    return {str(row[0]): str(row[1]) for row in tx.rows("select method, reason from refused_methods")}
