"""What concerns us is checked to the last digit; what strangers do among themselves is not read."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from paynode.chains.evm.codec import TRANSFER_TOPIC, address_topic
from paynode.chains.evm.wire import AnyBlock, AnyLog, FullBlock, Log, Tx, logs_with
from paynode.chains.jsonrpc import Garbled, decode_one

OURS, STRANGER = "0x" + "Aa" * 20, "0x" + "bB" * 20
HASH = "0x" + "1c" * 32
AT = "0x68000000"
TX = {
    "hash": HASH,
    "blockHash": HASH,
    "from": STRANGER,
    "to": OURS,
    "value": "0x5",
    "nonce": "0x7",
    "type": "0x2",
    "input": "0x",
}
LOG = {
    "address": STRANGER,
    "topics": [TRANSFER_TOPIC, address_topic(STRANGER), address_topic(OURS)],
    "data": "0x" + "0" * 63 + "5",
    "blockNumber": "0x10",
    "blockHash": HASH,
    "transactionHash": HASH,
    "logIndex": "0x0",
}
BENT: list[dict[str, object]] = [
    {"hash": HASH[:-1] + "g"},
    {"hash": HASH[:-1]},
    {"from": STRANGER[:-1]},
    {"from": None},
    {"value": "5"},
    {"value": "0x"},
    {"value": "0x-5"},
    {"value": "0x_5"},
    {"value": "0x" + "f" * 65},
    {"value": 5},
    {"nonce": "0x 7"},
    {"type": "two"},
]


def block(*txs: Mapping[str, Any]) -> FullBlock:
    header = {"number": "0x10", "hash": HASH, "parentHash": HASH, "timestamp": AT}
    answer = decoded({**header, "transactions": txs}, AnyBlock)
    return FullBlock("node", answer.ref, answer.transactions)


def logs_of_ours(*logs: Mapping[str, Any]) -> list[Log]:
    return logs_with("node", decoded(logs, list[AnyLog]), {address_topic(OURS)})


def decoded(result: object, type_: Any) -> Any:
    return decode_one("node", json.dumps({"id": 1, "result": result}).encode(), 1, "asked", type_)


def test_of_a_block_those_transactions_come_that_are_asked_for() -> None:
    other = "0x" + "2d" * 32
    found = block(TX, TX | {"hash": other, "to": STRANGER}, TX | {"hash": HASH.upper(), "to": None})
    assert (found.ref.number, found.ref.hash, found.ref.at) == (16, HASH, datetime.fromtimestamp(int(AT, 16), UTC))
    expected = Tx(hash=HASH, from_=STRANGER, value="0x5", to=OURS, nonce="0x7", type="0x2")
    assert found.txs_to({OURS.lower()}) == [expected]
    assert [tx.to for tx in found.txs_of({other})] == [STRANGER]
    assert found.txs_to(set()) == []


@pytest.mark.parametrize("bent", BENT, ids=str)
def test_a_transaction_to_us_of_another_shape_is_garbled(bent: dict[str, object]) -> None:
    with pytest.raises(Garbled):
        block(TX, TX | bent).txs_to({OURS.lower()})


@pytest.mark.parametrize("bent", [each for each in BENT if "hash" not in each], ids=str)
def test_a_transaction_that_is_to_be_named_and_has_another_shape_is_garbled(bent: dict[str, object]) -> None:
    with pytest.raises(Garbled):
        block(TX | {"to": STRANGER} | bent).txs_of({HASH})


def test_what_a_stranger_sent_to_a_stranger_spoils_nothing_of_ours() -> None:
    odd = {"to": STRANGER, "value": "0x", "from": "nobody", "nonce": "", "type": "0xzz"}
    assert [tx.to for tx in block(TX, TX | odd).txs_to({OURS.lower()})] == [OURS]


@pytest.mark.parametrize("to", [OURS[:-1], OURS + "0", OURS[2:], ""])
def test_a_block_with_an_address_of_another_length_is_garbled(to: str) -> None:
    with pytest.raises(Garbled):
        block(TX, TX | {"to": to})


def test_of_a_page_of_logs_those_come_that_concern_the_addresses_asked_for() -> None:
    strangers = [TRANSFER_TOPIC, address_topic(STRANGER), address_topic(STRANGER)]
    sent = [TRANSFER_TOPIC, "0x" + address_topic(OURS)[2:].upper(), address_topic(STRANGER)]
    approval = [address_topic(OURS), address_topic(STRANGER), address_topic(STRANGER)]
    logs = [LOG | {"topics": topics} for topics in (strangers, sent, approval, strangers[:1], [])]
    assert [log.topics for log in logs_of_ours(LOG, *logs)] == [LOG["topics"], sent]


@pytest.mark.parametrize("bent", [
    {"address": OURS[:-1]},
    {"address": OURS[:-1] + "g"},
    {"topics": [TRANSFER_TOPIC[:-1] + "g", address_topic(STRANGER), address_topic(OURS)]},
    {"topics": [TRANSFER_TOPIC, "0x" + "z" * 64, address_topic(OURS)]},
    {"data": "0x5"},
    {"data": "0x" + "_5" * 32},
    {"data": None},
    {"blockNumber": "16"},
    {"blockHash": HASH[2:]},
    {"transactionHash": HASH + "\n"},
    {"logIndex": "0x"},
    {"removed": "no"},
], ids=str)  # fmt: skip
def test_a_log_of_ours_of_another_shape_is_garbled(bent: dict[str, object]) -> None:
    with pytest.raises(Garbled):
        logs_of_ours(LOG, LOG | bent)


@pytest.mark.parametrize("topic", [OURS, address_topic(OURS)[2:], address_topic(OURS) + "0"])
def test_a_page_of_logs_with_a_topic_of_another_length_is_garbled(topic: str) -> None:
    with pytest.raises(Garbled):
        logs_of_ours(LOG, LOG | {"topics": [TRANSFER_TOPIC, address_topic(STRANGER), topic]})
