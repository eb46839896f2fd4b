"""The look: all watched balances in one pinned eth_call, with the context it really ran in.

One rule: what was read is returned only if block number, timestamp, parent hash
and chain id inside the call are the header's. Some backends ignore the pin and
say nothing; their balances belong to another block and prove nothing.

Two siblings have the same number and parent, and perhaps the same timestamp:
what tells them apart is the hash in the pin, or, where a provider takes numbers
only, the header read once more after the call.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Annotated, Any

import msgspec
import trio

from paynode.chains.evm.question import CONTEXT_WORDS, UNKNOWN, Question
from paynode.chains.evm.ways import PLANS, Plan, Way, ask
from paynode.chains.jsonrpc import Blocked, Garbled, ProviderFailed, RpcError, TimedOut, TooMuch
from paynode.chains.provider import Provider

HEIGHTS_MAX = 256  # in one call
FEW_ADDRESSES = 32  # where so few are too much, the token itself is
CODE_SECONDS = 86_400.0
PATIENCE_LOOKS_MAX = 256  # so long a way that is not the best is kept before the better ones are tried again


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
    """Up to a day old where only Multicall3 looks."""
    units_by_holding: dict[tuple[str, str], int | None] = field(default_factory=dict)
    """By (address, token contract). None is unknown: the token's `balanceOf` failed. It is never zero."""


@dataclass(frozen=True, slots=True)
class _CodeSize:
    size: int
    asked_at: float  # of trio's clock


class WrongContext(ProviderFailed):
    """The call ran in another block, or on another chain, than it was pinned to: believe nothing, degrade."""


@dataclass(slots=True)
class _Learned:
    """The plan that worked at a provider; one that is not the best is questioned after so many looks, ever more."""

    plan: Plan
    looks_left: int = 0
    patience_looks: int = 1

    def plans(self) -> Sequence[Plan]:
        """Those to try now, in this order."""
        if self.plan is PLANS[0]:
            return (self.plan,)
        if self.looks_left > 0:
            self.looks_left -= 1
            return (self.plan,)
        self.patience_looks = min(2 * self.patience_looks, PATIENCE_LOOKS_MAX)
        self.looks_left = self.patience_looks
        return PLANS[: PLANS.index(self.plan) + 1]


class Looker:
    """Looks at one chain; learns which plan works at which provider.

    A better one that failed perhaps did so by accident, so it is tried again.
    """

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self._learned: dict[str, _Learned] = {}
        self._code_sizes: dict[str, _CodeSize] = {}

    def plan(self, provider: Provider) -> Plan | None:
        """How it last looked at `provider`; None: it never could."""
        learned = self._learned.get(provider.name)
        return learned.plan if learned else None

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
        learned = self._learned.get(provider.name)
        first_failure: ProviderFailed | None = None
        for plan in learned.plans() if learned else PLANS:
            try:
                found = await self._look(plan, provider, header, addresses, tokens, numbers)
            except (RpcError, Garbled, Blocked) as failure:  # perhaps only this way is closed
                first_failure = first_failure or failure
            else:
                if learned is None or learned.plan is not plan:
                    self._learned[provider.name] = _Learned(plan)
                return found
        self._learned.pop(provider.name, None)
        assert first_failure is not None
        raise first_failure

    async def confirm(self, provider: Provider, header: Header) -> None:
        """That `provider` still has this block at its height: for what was pinned by the number.

        Raises:
            ProviderFailed: it has another one there.
        """
        block = await provider.call("eth_getBlockByNumber", [hex(header.number), False], _Named | None)
        if block is None or block.hash.lower() != header.hash:
            raise ProviderFailed(provider.name, f"block {header.number} was replaced while it was looked at")

    async def _look(
        self,
        plan: Plan,
        provider: Provider,
        header: Header,
        addresses: Sequence[str],
        tokens: Sequence[str],
        numbers: Sequence[int],
    ) -> Look:
        found = Look(header, self._chain_id)
        room = plan.way.value - CONTEXT_WORDS - min(len(numbers), HEIGHTS_MAX)
        portions = _portions(addresses, room // (2 + len(tokens)))
        for some, heights in zip_longest(portions, _portions(numbers, HEIGHTS_MAX), fillvalue=()):
            await self._add(found, plan, provider, Question(header.number, some, tokens, heights))
        if plan.way is Way.GATHERED:
            await self._add_code_sizes(found, plan, provider, addresses)
        if not plan.is_by_hash:
            await self.confirm(provider, header)
        return found

    async def _add(self, found: Look, plan: Plan, provider: Provider, question: Question) -> None:
        try:
            words = await ask(provider, plan, found.header.hash, question)
        except TimedOut:
            raise
        except TooMuch:
            await self._add_parts(found, plan, provider, question)
            return
        self._check_context(provider, found.header, words)
        rest = iter(words[CONTEXT_WORDS:])
        for height in question.heights:
            found.hash_by_number[height] = _hash(word) if (word := next(rest)) else None
        for address in question.addresses:
            found.native_by_address[address] = next(rest)
            found.code_size_by_address[address] = next(rest)
            for token in question.tokens:
                units = next(rest)
                found.units_by_holding[address, token] = None if units == UNKNOWN else units

    async def _add_code_sizes(self, found: Look, plan: Plan, provider: Provider, addresses: Sequence[str]) -> None:
        """What Multicall3 cannot tell, by a call for each address: when it is new, and once a day.

        An address of ours can only get code by its own key (EIP-7702), and its logs are read from its floor then.
        """
        now = trio.current_time()
        fresh = {each: code for each, code in self._code_sizes.items() if now - code.asked_at < CODE_SECONDS}
        if unknown := [address for address in addresses if address not in fresh]:
            pin = plan.pin(found.header.number, found.header.hash)
            codes: list[str] = await provider.batch("eth_getCode", [(address, pin) for address in unknown], _Code)
            fresh |= {each: _CodeSize(len(code) // 2 - 1, now) for each, code in zip(unknown, codes, strict=True)}
        self._code_sizes = fresh
        found.code_size_by_address.update({address: fresh[address].size for address in addresses})

    async def _add_parts(self, found: Look, plan: Plan, provider: Provider, question: Question) -> None:
        """Ask for what was too much at once: perhaps a token burns all the gas it gets at every address."""
        addresses, tokens = question.addresses, question.tokens
        if plan.way is Way.GATHERED and len(tokens) > 1:
            await self._add(found, plan, provider, replace(question, tokens=()))
            for token in tokens:
                await self._add(found, plan, provider, replace(question, tokens=(token,), heights=()))
        elif plan.way is Way.GATHERED and tokens and len(addresses) <= FEW_ADDRESSES:
            await self._add(found, plan, provider, replace(question, tokens=()))
            found.units_by_holding.update(dict.fromkeys(((address, tokens[0]) for address in addresses), None))
        elif len(addresses) > 1:
            for half in _portions(addresses, (len(addresses) + 1) // 2):
                await self._add(found, plan, provider, replace(question, addresses=half))
        else:
            raise Blocked(provider.name, "eth_call: too much even for one address")

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


_Code = Annotated[str, msgspec.Meta(pattern=r"^0x([0-9a-fA-F]{2})*$")]


class _Named(msgspec.Struct, frozen=True):
    hash: str


def _portions(items: Sequence[Any], count: int) -> Iterator[Sequence[Any]]:
    """`items` in parts of `count`; one part even of none, for the context's sake."""
    count = max(count, 1)
    for start in range(0, max(len(items), 1), count):
        yield items[start : start + count]


def _hash(word: int) -> str:
    return f"0x{word:064x}"
