"""How fast blocks and logs are read with a million watched addresses, beside what the decoder alone allows."""

import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from tests.bench.report import Line, percentile

from paynode.chains.evm.codec import TRANSFER_TOPIC, address_topic, row_of_value, rows_of_log
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.evm.wire import AnyBlock, AnyLog, Block, FullBlock, logs_with
from paynode.chains.jsonrpc import decode_one
from paynode.domain.chain import Books, RowSource, Watch
from paynode.domain.money import Asset

WATCHED = 1_000_000
TXS, LOGS = 1000, 10_000  # in one answer
OURS = 100  # of so many, one is to us
ROUNDS = 5
SHARE = 0.6  # of the limit
TOKEN = "0x" + "dA" * 20
ASSETS = (Asset("eth", "eth", 18, None), Asset("eth", "usdt", 6, TOKEN))
PADDING = "0x" + "0" * 24


async def run() -> AsyncIterator[list[Line]]:
    """Blocks, then logs; the limit is measured in the same run."""
    drawn = random.Random(1)
    watches = [Watch(f"0x{drawn.getrandbits(160):040x}", 0, 12, ("eth_eth", "eth_usdt")) for _ in range(WATCHED)]
    watchlist = Watchlist.of(Books((), watches, ()), ASSETS)
    known = {watch.address for watch in watches}
    ours = [watch.address for watch in watches[:: WATCHED // OURS]]
    yield _lines("blocks of 1,000 transactions", 1, *_blocks(_block(drawn, ours), watchlist, known))
    yield _lines("logs", LOGS, *_logs(_many_logs(drawn, ours), watchlist, known))


def _lines(what: str, count: int, ours: float, bare: float) -> list[Line]:
    return [
        Line(f"{what} read, {WATCHED:,} addresses watched", count / ours, "/s", at_least=SHARE * count / bare),
        Line("  decoded without a check, and looked up", count / bare, "/s"),
    ]


def _blocks(body: bytes, watchlist: Watchlist, known: set[str]) -> tuple[float, float]:
    class Tx(msgspec.Struct, rename="camel"):
        hash: str
        from_: str = msgspec.field(name="from")
        value: str
        nonce: str
        block_hash: str
        to: str | None = None

    class Block(msgspec.Struct):
        transactions: list[Tx]

    class Answer(msgspec.Struct):
        result: Block

    decoder = msgspec.json.Decoder(Answer)

    def bare() -> int:
        return sum(tx.to in known for tx in decoder.decode(body).result.transactions)

    def ours() -> int:
        answer: AnyBlock = decode_one("bench", body, 1, "eth_getBlockByHash", AnyBlock)
        block = FullBlock("bench", answer.ref, answer.transactions)
        txs = block.txs_to(watchlist.address_by_lower)
        rows = [row_of_value(tx, block.ref, watchlist, RowSource.TX) for tx in txs]
        return sum(row is not None for row in rows)

    return _seconds(ours, TXS // OURS), _seconds(bare, TXS // OURS)


def _logs(body: bytes, watchlist: Watchlist, known: set[str]) -> tuple[float, float]:
    class Entry(msgspec.Struct, rename="camel"):
        address: str
        topics: list[str]
        data: str
        block_number: str
        block_hash: str
        transaction_hash: str
        log_index: str

    class Answer(msgspec.Struct):
        result: list[Entry]

    decoder = msgspec.json.Decoder(Answer)
    topics = {address_topic(address) for address in known}

    def bare() -> int:
        return sum(log.topics[2] in topics for log in decoder.decode(body).result)

    def ours() -> int:
        logs = logs_with("bench", decode_one("bench", body, 1, "eth_getLogs", list[AnyLog]), topics)
        ref = BLOCK.ref
        return sum(len(rows_of_log(log, ref, None, watchlist, RowSource.LOG)) for log in logs)

    return _seconds(ours, LOGS // OURS), _seconds(bare, LOGS // OURS)


def _seconds(read: Callable[[], int], expected: int) -> float:
    """The median processor time of one reading, which must find all that is ours."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        found = read()
        taken.append(time.process_time() - began)
        assert found == expected, f"{found} of {expected} found"
    return percentile(taken, 50)


def _hash(drawn: random.Random) -> str:
    return f"0x{drawn.getrandbits(256):064x}"


def _address(drawn: random.Random) -> str:
    return f"0x{drawn.getrandbits(160):040x}"


def _answer(result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


def _block(drawn: random.Random, ours: Sequence[str]) -> bytes:
    """As a node answers it: every field of every transaction."""
    txs = [
        {
            "hash": _hash(drawn),
            "blockHash": BLOCK.hash,
            "blockNumber": BLOCK.number,
            "transactionIndex": hex(at),
            "type": "0x2",
            "chainId": "0x1",
            "from": _address(drawn),
            "to": ours[at % len(ours)] if at % OURS == 0 else _address(drawn),
            "value": hex(drawn.randrange(1, 10**18)),
            "nonce": hex(drawn.randrange(1000)),
            "gas": "0x5208",
            "gasPrice": "0x3b9aca00",
            "maxFeePerGas": "0x77359400",
            "maxPriorityFeePerGas": "0x3b9aca00",
            "input": f"0xa9059cbb{drawn.getrandbits(512):0128x}",
            "accessList": [],
            "v": "0x1",
            "yParity": "0x1",
            "r": _hash(drawn),
            "s": _hash(drawn),
        }
        for at in range(TXS)
    ]
    header = {"number": BLOCK.number, "hash": BLOCK.hash, "parentHash": BLOCK.parent_hash, "timestamp": BLOCK.timestamp}
    return _answer({**header, "logsBloom": "0x" + "0" * 512, "transactions": txs})


def _many_logs(drawn: random.Random, ours: Sequence[str]) -> bytes:
    return _answer(
        [
            {
                "address": TOKEN.lower(),
                "topics": [
                    TRANSFER_TOPIC,
                    PADDING + _address(drawn)[2:],
                    PADDING + (ours[at % len(ours)] if at % OURS == 0 else _address(drawn))[2:],
                ],
                "data": f"0x{drawn.randrange(1, 10**12):064x}",
                "blockNumber": BLOCK.number,
                "blockHash": BLOCK.hash,
                "transactionHash": _hash(drawn),
                "transactionIndex": hex(at),
                "logIndex": hex(at),
                "removed": False,
            }
            for at in range(LOGS)
        ]
    )


BLOCK = Block(
    number="0x1312d00",
    hash="0x" + "b1" * 32,
    parent_hash="0x" + "b0" * 32,
    timestamp="0x68000000",
)
