"""What each network asked for a transfer when sweeps were last planned there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.records import Units
from paynode.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class PriceRecord:
    network: str
    fee_price: Units
    costs: Mapping[str, int]  # of one transfer in native units, by method
    gas: Mapping[str, int]  # what each store's gas station held, by store
    at: datetime


def save(tx: Tx, record: PriceRecord) -> None:
    tx.run(
        "insert into sweep_prices (network, fee_price, costs, gas, at) values (?, ?, ?, ?, ?) "
        "on conflict do update set fee_price = excluded.fee_price, costs = excluded.costs, gas = excluded.gas, "
        "at = excluded.at",
        (record.network, str(record.fee_price), _written(record.costs), _written(record.gas), to_ms(record.at)),
    )


def of_network(tx: Tx, network: str) -> PriceRecord | None:
    row = tx.row("select fee_price, costs, gas, at from sweep_prices where network = ?", (network,))
    if row is None:
        return None
    return PriceRecord(network, Units(int(row[0])), _read(row[1]), _read(row[2]), from_ms(row[3]))


def _written(units: Mapping[str, int]) -> str:
    return json.dumps({name: str(each) for name, each in units.items()})


def _read(text: str) -> Mapping[str, int]:
    return {name: int(each) for name, each in json.loads(text).items()}
