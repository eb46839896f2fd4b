"""The look: all watched balances in one pinned eth_call, with the context it really ran in.

One rule: what was read is returned only if block number, timestamp, parent hash
and chain id inside the call are the header's. Some backends ignore the pin and
say nothing; their balances belong to another block and prove nothing.

The contract is `contracts/Look.sol`; it is never deployed. Its arguments and
its answer are arrays of words, packed and unpacked here: the import of an ABI
library would cost more than these lines.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from paynode.chains.jsonrpc import Garbled, ProviderFailed, RpcError, TimedOut, TooMuch
from paynode.chains.provider import Provider

SELECTOR = "24058ae1"  # look(address[],address[],uint256[])
LENT_ADDRESS = "0x00000000000000007061796e6f64652e6c6f6f6b"  # where nobody has code: "paynode.look"
UNKNOWN = 2**256 - 1
CONTEXT_WORDS = 4
ANSWER = re.compile(r"0x((?:[0-9a-fA-F]{64})*)")


class Way(Enum):
    """How the contract gets to run, with the most words that it may then answer."""

    LENT = 1600  # by a state override; 300 addresses with three tokens, about 4 M gas and 100 kB of hex
    ONCE = (
        24_576 // 32 - 2
    )  # as init code, whose answer is taken for code: EIP-170 caps it, ABI framing takes two words


@dataclass(frozen=True, slots=True)
class Header:
    """What a block says of itself, as far as a call inside it can check."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Look:
    """Balances and code sizes at `header`, and what its chain remembers of older blocks."""

    header: Header
    chain_id: int
    hash_by_number: dict[int, str | None] = field(default_factory=dict)  # None: too old, or not below the header
    native_by_address: dict[str, int] = field(default_factory=dict)
    code_size_by_address: dict[str, int] = field(default_factory=dict)
    units_by_holding: dict[tuple[str, str], int | None] = field(default_factory=dict)
    """By (address, token contract). None is unknown: the token's `balanceOf` failed. It is never zero."""


class WrongContext(ProviderFailed):
    """The call ran in another block, or on another chain, than it was pinned to: believe nothing, degrade."""


class Looker:
    """Looks at one chain; remembers which way works at which provider."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self._way_by_provider: dict[str, Way] = {}

    async def look(
        self,
        provider: Provider,
        header: Header,
        addresses: Sequence[str],
        tokens: Sequence[str] = (),
        numbers: Sequence[int] = (),
    ) -> Look:
        """Balances of `addresses`, native and in `tokens`, at `header`; the chain's hashes of the blocks `numbers`.

        Usually one call; more where there are very many addresses, all pinned to the same block.

        Raises:
            WrongContext: `provider` answered from another block; degrade it and decide nothing.
            ProviderFailed: it gave no usable answer.
        """
        known = self._way_by_provider.get(provider.name)
        first_failure: ProviderFailed | None = None
        for way in (known,) if known else Way:
            found = Look(header, self._chain_id)
            try:
                for some in _portions(addresses, way.value - CONTEXT_WORDS - len(numbers), 2 + len(tokens)):
                    await self._add(found, way, provider, some, tokens, numbers)
            except (RpcError, Garbled) as failure:  # perhaps only this way is closed
                first_failure = first_failure or failure
            else:
                self._way_by_provider[provider.name] = way
                return found
        assert first_failure is not None
        raise first_failure

    async def _add(
        self,
        found: Look,
        way: Way,
        provider: Provider,
        addresses: Sequence[str],
        tokens: Sequence[str],
        numbers: Sequence[int],
    ) -> None:
        try:
            words = await _call(provider, way, found.header, encode(addresses, tokens, numbers))
        except TimedOut:
            raise
        except TooMuch:
            # A token that burns its 200,000 gas at every address can exceed what the provider grants one call.
            if len(addresses) < 2:
                raise
            for half in _portions(addresses, (len(addresses) + 1) // 2, 1):
                await self._add(found, way, provider, half, tokens, numbers)
            return
        if len(words) != CONTEXT_WORDS + len(numbers) + len(addresses) * (2 + len(tokens)):
            raise Garbled(provider.name, f"eth_call: the look has {len(words)} words")
        self._check_context(provider, found.header, words)
        rest = iter(words[CONTEXT_WORDS:])
        for number in numbers:
            found.hash_by_number[number] = _hash(word) if (word := next(rest)) else None
        for address in addresses:
            found.native_by_address[address] = next(rest)
            found.code_size_by_address[address] = next(rest)
            for token in tokens:
                units = next(rest)
                found.units_by_holding[address, token] = None if units == UNKNOWN else units

    def _check_context(self, provider: Provider, header: Header, words: Sequence[int]) -> None:
        number, timestamp, chain_id, parent = words[:CONTEXT_WORDS]
        if (number, timestamp, chain_id, _hash(parent)) != (
            header.number,
            header.timestamp,
            self._chain_id,
            header.parent_hash,
        ):
            raise WrongContext(
                provider.name, f"asked at block {header.number}, answered from block {number} of chain {chain_id}"
            )


def encode(addresses: Sequence[str], tokens: Sequence[str], numbers: Sequence[int]) -> str:
    """The three arrays by the contract ABI, as hex without 0x or selector."""
    arrays = _addresses(tuple(addresses)), _addresses(tuple(tokens)), "".join(f"{number:064x}" for number in numbers)
    head, tail = "", ""
    for array in arrays:
        head += f"{32 * len(arrays) + len(tail) // 2:064x}"
        tail += f"{len(array) // 64:064x}{array}"
    return head + tail


@lru_cache(maxsize=64)  # the same addresses are looked at for minutes
def _addresses(addresses: tuple[str, ...]) -> str:
    assert all(len(address) == 42 for address in addresses)
    return "".join(address[2:].lower().rjust(64, "0") for address in addresses)


async def _call(provider: Provider, way: Way, header: Header, arguments: str) -> list[int]:
    """The words that the contract answers at `header`, ABI framing taken off."""
    pin = {"blockHash": header.hash, "requireCanonical": True}
    params: list[Any]
    match way:
        case Way.LENT:
            code = _code()["Look"].runtime_code
            params = [{"to": LENT_ADDRESS, "data": f"0x{SELECTOR}{arguments}"}, pin, {LENT_ADDRESS: {"code": code}}]
        case Way.ONCE:
            params = [{"data": _code()["LookOnce"].init_code + arguments}, pin]
    answer = ANSWER.fullmatch(await provider.call("eth_call", params, str))
    if answer is None:
        raise Garbled(provider.name, "eth_call: not whole words")
    content = bytes.fromhex(answer[1])
    words = [int.from_bytes(content[at : at + 32], "big") for at in range(0, len(content), 32)]
    if words[:2] != [32, len(words) - 2]:  # nothing at all where the override was ignored
        raise Garbled(provider.name, "eth_call: not a look")
    return words[2:]


def _portions(addresses: Sequence[str], room: int, size: int) -> Iterator[Sequence[str]]:
    """`addresses` in parts that fit into `room` at `size` each; one part even of none, for the context's sake."""
    count = max(room // size, 1)
    for start in range(0, max(len(addresses), 1), count):
        yield addresses[start : start + count]


def _hash(word: int) -> str:
    return f"0x{word:064x}"


class _Code(msgspec.Struct, frozen=True):
    init_code: str
    runtime_code: str


class _Artifact(msgspec.Struct, frozen=True):
    contracts: Mapping[str, _Code]


@cache
def _code() -> Mapping[str, _Code]:
    text = (files("paynode.chains.evm.contracts") / "contracts.json").read_bytes()
    return msgspec.json.decode(text, type=_Artifact).contracts
