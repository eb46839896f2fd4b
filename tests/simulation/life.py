"""A node's life: acts happen at their time, blocks are mined, and every service takes its turns as it would.

Time is simulated. The scanner's own pauses decide when it looks, but it waits for a new block more often than not:
looks at the same head are cheap to prove the same and dear to repeat.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from unittest.mock import patch

import structlog
import trio
from tests.chains.evm.fakechain import FakeChain
from tests.chains.evm.fakereads import FakeReads
from tests.simulation import checker
from tests.simulation.acts import ACTS
from tests.simulation.evmnet import Net
from tests.simulation.faults import forget_what_was_planned, heal
from tests.simulation.node import GAS, Crash, Node
from tests.simulation.script import HOUR, SETTLE, Act
from trio.testing import MockClock

from paynode.services import scanner

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
BLOCKS_BETWEEN_LOOKS_MAX = 4
SENDING_SECONDS = 300  # between the sender's rounds while nothing is under way
PATIENCE_SECONDS = 6 * HOUR  # a fall is searched again for as long as it is old, an hour at most, a few times


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a life takes place: (name, seconds a block, confirmations, providers) of each network."""

    networks: tuple[tuple[str, int, int, int], ...]
    is_crowded: bool = False  # the addresses that nobody waits for are only looked at now and then
    limits: frozenset[str] = frozenset()  # what no provider ever gives
    is_reusing: bool = False  # the shop's addresses serve one invoice after another

    @classmethod
    def of(cls, seed: int) -> "Setting":
        random = Random(seed)
        slow = ("slow", 12, random.randint(2, 6), random.choice([1, 2, 2, 3]))
        fast = ("fast", 2, random.randint(4, 12), random.choice([1, 2, 2, 3]))
        networks = random.choice([(slow,), (slow,), (fast,), (slow, fast)])
        limits = random.choice([(), (), (), ("capped",), ("pruned",)])
        return cls(networks, random.random() < 0.3, frozenset(limits), random.random() < 0.5)


def live(
    folder: Path,
    setting: Setting,
    play: Callable[["Life"], Awaitable[None]],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> "Life":
    """Let a new node live through `play`, in simulated time; returns what became of it.

    What has not settled after `patience_seconds` never will.

    Raises:
        Violation: a promise was broken.
    """

    async def main() -> Life:
        life = Life(folder, setting, clock, patience_seconds)
        try:
            await life.open_shop()
            await play(life)
        finally:
            await life.node.aclose()
        return life

    clock = MockClock()
    # Ids are random: they must sort the same way in every life of a script.
    with patch.object(secrets, "randbits", Random(0).getrandbits), structlog.testing.capture_logs():
        return trio.run(main, clock=clock)


class Life:
    """One node and its networks, from the first look on."""

    def __init__(self, folder: Path, setting: Setting, clock: MockClock, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self.setting = setting
        self._mock_clock = clock
        self.seconds = 0.0
        self.shift = 0.0  # how long settling took so far
        self.looks = 0
        self.nets = [_net(*each, setting.limits) for each in setting.networks]
        self.node = Node(folder, self.nets, self.now)
        self.checker = checker.Checker(self.node)
        self.next_look = {net.name: 0.0 for net in self.nets}
        self.wide_at = {net.name: -scanner.WIDE_SECONDS for net in self.nets}
        self.next_send = {net.name: 0.0 for net in self.nets}
        self.heals: list[tuple[float, str]] = []  # when which network is well again

    def now(self) -> datetime:
        return BEGAN_AT + timedelta(seconds=self.seconds)

    @property
    def unix(self) -> int:
        return int(self.now().timestamp())

    async def follow(self, acts: Sequence[Act]) -> None:
        """Live by a script."""
        for act in acts:
            await self.until(act.at + self.shift)
            if act.kind == SETTLE:
                await self.settle()
            else:
                await self.survive(partial(ACTS[act.kind].happen, self, Random(act.seed)))

    async def open_shop(self) -> None:
        """Every network was looked at, and there are coins at the gas station."""
        for net in self.nets:
            net.send("0x" + "fa" * 20, GAS, value=10**20)
        await self.until(120)

    async def until(self, moment: float) -> None:
        """Let time pass: every turn of a scanner on the way, with the sender's after it."""
        while True:
            name = min(self.next_look, key=self.next_look.__getitem__)
            heal_at = min((at for at, _ in self.heals), default=moment)
            at = max(min(self.next_look[name], heal_at), self.seconds)
            if at >= moment:
                break
            self._pass(at - self.seconds)
            if heal_at <= at:
                self._heal_due()
            else:
                await self.turn(name)
        self._pass(max(moment - self.seconds, 0))

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds
        if seconds > 0:
            self._mock_clock.jump(seconds)
        for net in self.nets:
            net.mine_until(self.unix)

    def _heal_due(self) -> None:
        for at, name in self.heals:
            if at <= self.seconds:
                heal(next(net for net in self.nets if net.name == name))
        self.heals = [each for each in self.heals if each[0] > self.seconds]

    async def turn(self, name: str) -> None:
        """One look at a network, and what follows from it."""
        self.looks += 1
        node = self.node
        is_wide = not self.setting.is_crowded or self.seconds - self.wide_at[name] >= scanner.WIDE_SECONDS
        if is_wide:
            self.wide_at[name] = self.seconds
        await self.survive(partial(node.look, name, is_wide=is_wide))
        pause = node.pause_seconds(name)
        if node.is_urgent(name) or self.seconds >= self.next_send[name]:
            self.next_send[name] = self.seconds + SENDING_SECONDS
            await self.survive(partial(node.send, name))
            await self.survive(node.tick_timers)
        net = node.nets[name]
        until_block = net.next_block_at - BEGAN_AT.timestamp() - self.seconds
        blocks = self.looks * 7919 % BLOCKS_BETWEEN_LOOKS_MAX  # as good as any
        waits = until_block + blocks * net.chain.seconds_per_block + 0.5
        self.next_look[name] = self.seconds + (max(pause, waits) if self.looks % 16 else pause)

    async def survive(self, step: Callable[[], Awaitable[None] | None]) -> None:
        """Take a step; after a crash, begin again from what is committed. What clients can see then is checked."""
        try:
            if (awaited := step()) is not None:
                await awaited
        except Crash:
            await self.survive(self.node.restart)  # which may die, too
        self.checker.check_commit()

    def wake(self, name: str, seconds: float) -> None:
        """The scanner's bell: look within so many seconds."""
        self.next_look[name] = min(self.next_look[name], self.seconds + seconds)

    async def settle(self) -> None:
        """All is well again: after a while, the books are the chain."""
        began = self.seconds
        self.heals = []
        self.node.crash_at = lambda point: False
        for net in self.nets:
            heal(net)
            forget_what_was_planned(net.views)
        differences = ["not looked yet"]
        while differences:
            if self.seconds - began > self.patience_seconds:
                raise checker.Violation("does not settle: " + "; ".join(differences))
            self.node.resume()
            await self.until(self.seconds + 20 * max(net.chain.seconds_per_block for net in self.nets))
            for net in self.nets:
                self.wide_at[net.name] = -scanner.WIDE_SECONDS
                await self.turn(net.name)
            differences = self.checker.differences()
        self.checker.check_settled()
        await self._look_again()
        self.shift += self.seconds - began

    async def _look_again(self) -> None:
        """Property 4: on blocks that stand still, looks come to an end of what they change."""
        before, changed = self.checker.everything(), {()}
        for _ in range(4):  # what is found is proven by the next look, and what is proven ends by one more
            for net in self.nets:
                await self.node.look(net.name, is_wide=True)
            now = self.checker.everything()
            before, changed = now, before ^ now
        checker.require(not changed, f"another look at the same blocks changes {changed}")


def _net(name: str, seconds_per_block: int, depth: int, providers: int, limits: frozenset[str]) -> Net:
    chain = FakeChain(seconds_per_block, int(BEGAN_AT.timestamp()))
    views = [FakeReads(chain, f"{name}{number}", set(limits)) for number in range(providers)]
    return Net(name, chain, views, depth, limits=limits)
