"""The ways in which a provider may let a look run: one eth_call each. I/O.

One rule: whichever way, the answer is the same array of words (`question.py`), or a failure. The contract is
`contracts/Look.sol`; it is never deployed. Arguments and answers are packed and unpacked here: the import of an ABI
library would cost more than these lines.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from paynode.chains.evm import multicall
from paynode.chains.evm.question import Question
from paynode.chains.jsonrpc import Garbled, TooMuch
from paynode.chains.provider import Provider

SELECTOR = "24058ae1"  # look(address[],address[],uint256[])
LENT_ADDRESS = "0x00000000000000007061796e6f64652e6c6f6f6b"  # where nobody has code: "paynode.look"
ANSWER = re.compile(r"0x((?:[0-9a-fA-F]{64})*)")


class Way(Enum):
    """How a look gets to run, with the most words that it may then answer."""

    LENT = 1600  # by a state override; 300 addresses with three tokens, about 4 M gas and 100 kB of hex
    ONCE = (
        24_576 // 32 - 2
    )  # as init code, whose answer is taken for code: EIP-170 caps it, ABI framing takes two words
    GATHERED = 1000  # by Multicall3; about 200 kB up and 150 kB down

    def __str__(self) -> str:
        match self:
            case Way.LENT:
                return "a state override"
            case Way.ONCE:
                return "init code"
            case Way.GATHERED:
                return "Multicall3"


@dataclass(frozen=True, slots=True)
class Plan:
    """A way, and how its block is named: by its hash (EIP-1898), or only by its number."""

    way: Way
    is_by_hash: bool

    def __str__(self) -> str:
        return f"{self.way}, pinned by {'hash' if self.is_by_hash else 'number'}"

    def pin(self, number: int, hash_: str) -> Any:
        return {"blockHash": hash_, "requireCanonical": True} if self.is_by_hash else hex(number)


PLANS = tuple(Plan(way, is_by_hash) for is_by_hash in (True, False) for way in Way)  # the best first


async def ask(provider: Provider, plan: Plan, hash_: str, question: Question) -> list[int]:
    """The words that answer `question` in the block of `hash_`.

    Raises:
        TooMuch: ask for fewer addresses.
        ProviderFailed: it gave no usable answer, perhaps only not in this way.
    """
    params = [_call(plan.way, question), plan.pin(question.number, hash_)]
    if plan.way is Way.LENT:
        params.append({LENT_ADDRESS: {"code": _code()["Look"].runtime_code}})
    answer = ANSWER.fullmatch(await provider.call("eth_call", params, str))
    if answer is None:
        raise Garbled(provider.name, "eth_call: not whole words")
    content = bytes.fromhex(answer[1])
    try:
        words = multicall.words(question, content) if plan.way is Way.GATHERED else _words(content)
    except EOFError:
        raise TooMuch(provider.name, "eth_call: out of gas before the native balances") from None
    except ValueError:  # nothing at all where an override was ignored or where there is no Multicall3
        raise Garbled(provider.name, "eth_call: not a look") from None
    if len(words) != question.word_count:
        raise Garbled(provider.name, f"eth_call: the look has {len(words)} words")
    return words


def _call(way: Way, question: Question) -> dict[str, str]:
    match way:
        case Way.LENT:
            return {"to": LENT_ADDRESS, "data": f"0x{SELECTOR}{encode(question)}"}
        case Way.ONCE:
            return {"data": _code()["LookOnce"].init_code + encode(question)}
        case Way.GATHERED:
            return {"to": multicall.MULTICALL3, "data": f"0x{multicall.call_data(question)}"}


def encode(question: Question) -> str:
    """The contract's three arrays by the contract ABI, as hex without 0x or selector."""
    heights = "".join(f"{height:064x}" for height in question.heights)
    arrays = _addresses(tuple(question.addresses)), _addresses(tuple(question.tokens)), heights
    head, tail = "", ""
    for array in arrays:
        head += f"{32 * len(arrays) + len(tail) // 2:064x}"
        tail += f"{len(array) // 64:064x}{array}"
    return head + tail


@lru_cache(maxsize=64)  # the same addresses are looked at for minutes
def _addresses(addresses: Sequence[str]) -> str:
    assert all(len(address) == 42 for address in addresses)
    return "".join(address[2:].lower().rjust(64, "0") for address in addresses)


def _words(content: bytes) -> list[int]:
    """What our own contract answers, ABI framing taken off."""
    words = [int.from_bytes(content[at : at + 32], "big") for at in range(0, len(content), 32)]
    if words[:2] != [32, len(words) - 2]:
        raise ValueError("not an array of words")
    return words[2:]


class _Code(msgspec.Struct, frozen=True):
    init_code: str
    runtime_code: str


class _Artifact(msgspec.Struct, frozen=True):
    contracts: Mapping[str, _Code]


@cache
def _code() -> Mapping[str, _Code]:
    text = (files("paynode.chains.evm.contracts") / "contracts.json").read_bytes()
    return msgspec.json.decode(text, type=_Artifact).contracts
