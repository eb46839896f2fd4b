"""Traces of blocks as nodes write them, read as the coins that really moved."""

from typing import Any

import msgspec
import pytest

from paynode.chains.evm.traces import FlatTrace, InnerTransfer, NestedTrace, of_flat, of_nested

TX, BLOCK = "0x" + "1f" * 32, "0x" + "b1" * 32
PAYER, ROUTER, WALLET, SHOP = ("0x" + digit * 40 for digit in "abcd")


def call(sender: str, to: str, value: int = 0, type_: str = "CALL", error: str = "", *calls: object) -> dict[str, Any]:
    """A frame as geth's callTracer writes it."""
    frame: dict[str, Any] = {"type": type_, "from": sender, "to": to, "gas": "0x1", "gasUsed": "0x1", "input": "0x"}
    if type_ != "STATICCALL":
        frame["value"] = hex(value)
    if error:
        frame |= {"error": error, "revertReason": "no"}
    return frame | ({"calls": list(calls)} if calls else {})


def nested(*trees: object) -> list[InnerTransfer]:
    answer = msgspec.json.encode([{"txHash": TX, "result": tree} for tree in trees])
    return of_nested(msgspec.json.decode(answer, type=list[NestedTrace]))


def flatten(frame: dict[str, Any], at: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """The same tree as `trace_block` writes it."""
    type_ = str(frame["type"])
    trace: dict[str, Any] = {
        "blockHash": BLOCK,
        "blockNumber": 1,
        "transactionHash": TX,
        "transactionPosition": 0,
        "traceAddress": list(at),
        "subtraces": len(frame.get("calls", ())),
    }
    if type_ == "SELFDESTRUCT":
        action = {"address": frame["from"], "refundAddress": frame["to"], "balance": frame["value"]}
        trace |= {"type": "suicide", "action": action, "result": None}
    elif type_.startswith("CREATE"):
        action = {"from": frame["from"], "value": frame["value"], "init": "0x", "gas": "0x1"}
        trace |= {
            "type": "create",
            "action": action,
            "result": {"address": frame["to"], "code": "0x", "gasUsed": "0x1"},
        }
    else:
        action = {
            "callType": type_.lower(),
            "from": frame["from"],
            "to": frame["to"],
            "value": frame.get("value", "0x0"),
        }
        trace |= {"type": "call", "action": action, "result": {"gasUsed": "0x1", "output": "0x"}}
    if "error" in frame:
        trace |= {"error": "Reverted", "result": None}
    found = [trace]
    for number, below in enumerate(frame.get("calls", ())):
        found += flatten(below, (*at, number))
    return found


def flat(*trees: dict[str, Any]) -> list[InnerTransfer]:
    answer = msgspec.json.encode([trace for tree in trees for trace in flatten(tree)])
    return of_flat(msgspec.json.decode(answer, type=list[FlatTrace]))


TREES: dict[str, tuple[dict[str, Any], list[tuple[str, str, int]]]] = {
    "a plain payment is no inner one": (call(PAYER, SHOP, 9), []),
    "a contract that pays": (call(PAYER, ROUTER, 9, "CALL", "", call(ROUTER, SHOP, 9)), [(ROUTER, SHOP, 9)]),
    "a wallet behind a proxy": (
        call(PAYER, WALLET, 0, "CALL", "", call(WALLET, ROUTER, 9, "DELEGATECALL", "", call(WALLET, SHOP, 9))),
        [(WALLET, SHOP, 9)],
    ),
    "calls that repeat a value and move nothing": (
        call(PAYER, ROUTER, 9, "CALL", "", call(ROUTER, SHOP, 9, "CALLCODE"), call(ROUTER, SHOP, 0, "STATICCALL")),
        [],
    ),
    "a contract that is made and destroyed": (
        call(
            PAYER, ROUTER, 9, "CALL", "", call(ROUTER, WALLET, 9, "CREATE2", "", call(WALLET, SHOP, 9, "SELFDESTRUCT"))
        ),
        [(ROUTER, WALLET, 9), (WALLET, SHOP, 9)],
    ),
    "a transaction that fails": (call(PAYER, ROUTER, 9, "CALL", "execution reverted", call(ROUTER, SHOP, 9)), []),
    "a frame far above that is undone": (
        call(
            *(PAYER, ROUTER, 9, "CALL", ""),
            call(
                ROUTER,
                WALLET,
                9,
                "CALL",
                "execution reverted",
                call(WALLET, WALLET, 0, "CALL", "", call(WALLET, SHOP, 9)),
            ),
            call(ROUTER, SHOP, 2),
        ),
        [(ROUTER, SHOP, 2)],
    ),
    "coins that stay where they are": (call(PAYER, ROUTER, 0, "CALL", "", call(SHOP, SHOP, 9), call(ROUTER, SHOP)), []),
}


@pytest.mark.parametrize("name", TREES)
def test_both_ways_of_tracing_tell_the_same_transfers(name: str) -> None:
    tree, transfers = TREES[name]
    expected = [InnerTransfer(TX, sender, recipient, units) for sender, recipient, units in transfers]
    assert nested(tree) == flat(tree) == expected


def test_rewards_and_transactions_that_a_node_could_not_trace_tell_nothing() -> None:
    reward = {"type": "reward", "action": {"author": SHOP, "rewardType": "block", "value": "0x9"}, "blockHash": BLOCK}
    rewards = [reward | {"traceAddress": [], "subtraces": 0, "transactionHash": None, "result": None}]
    assert of_flat(msgspec.json.decode(msgspec.json.encode(rewards), type=list[FlatTrace])) == []
    failed = [
        {"txHash": TX, "error": "execution timeout"},
        {"result": call(PAYER, ROUTER, 0, "CALL", "", call(ROUTER, SHOP, 9))},
    ]
    assert of_nested(msgspec.json.decode(msgspec.json.encode(failed), type=list[NestedTrace])) == []


def test_a_creation_that_fails_has_no_address_and_moves_nothing() -> None:
    made = {"type": "create", "action": {"from": ROUTER, "value": "0x9"}, "error": "Reverted", "traceAddress": [0]}
    answer = msgspec.json.encode([made | {"blockHash": BLOCK, "transactionHash": TX}])
    assert of_flat(msgspec.json.decode(answer, type=list[FlatTrace])) == []
    without_to = call(
        PAYER, ROUTER, 0, "CALL", "", {"type": "CREATE", "from": ROUTER, "value": "0x9", "error": "out of gas"}
    )
    assert nested(without_to) == []
