"""What goes wrong: reorganisations, providers that lie or fall silent, outages, crashes. All of it ends.

At most one provider of a network lies at a time, and then the others work: two that tell the same lie, and one whose
word is all there is, are what the docs leave over. One that is alone is only silent, late or stingy.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.chains.evm.fakereads import FakeReads
from tests.simulation.evmnet import Net

if TYPE_CHECKING:
    from tests.simulation.life import Life

READS = ["head", "look", "hashes", "blocks", "balances", "logs", "nonces", "receipts", "txs", "traces"]
SILENCE = [f"no {read}" for read in READS]
LIMITS = ["capped", "pruned"]
LIES = [
    "empty logs",
    "empty receipts",
    "old head",
    "future head",
    "far future head",
    "stale state",
    "stale look",
    "elsewhere",
    "old fork logs",
]
FORK_BLOCKS_MAX = 15  # with the deepest reorganisation it is less than the horizon
HARMLESS_ALONE = [*SILENCE, *LIMITS, "old head", "elsewhere"]


def heal(net: Net) -> None:
    """Everybody tells the truth again, as far as they ever tell it."""
    net.is_out = False
    for view in net.views:
        view.lies = set(net.limits)
        view.chain = net.chain


def is_forging(net: Net) -> bool:
    """Whether a provider shows a past or another chain as if it were the head."""
    return any("stale look" in view.lies or view.chain is not net.chain for view in net.views)


def lies(life: "Life", random: Random) -> None:
    """One provider goes wrong for a while, in one way or two."""
    net = random.choice(life.nets)
    heal(net)
    if net.is_alone:
        net.views[0].lies |= set(random.sample(HARMLESS_ALONE, random.randint(1, 2)))
    else:
        liar = random.choice(net.views)
        liar.lies |= set(random.sample([*SILENCE, *LIMITS, *LIES, *LIES], random.randint(1, 2)))
        for view in net.views:
            if view is not liar and random.random() < 0.3:
                view.lies |= {random.choice(LIMITS)}
        if any("pruned" in view.lies for view in net.views if view is not liar):
            liar.lies -= {"stale state"}  # left over: where nobody else has a state, the liar's word places coins
    until_well(life, net, random.choice([30, 120, 600, 1800, 5400]))


def falls_silent(life: "Life", random: Random) -> None:
    """All providers are away, for minutes or hours; the chain goes on."""
    net = random.choice(life.nets)
    heal(net)
    net.is_out = True
    for view in net.views:
        view.lies = {"no head", "no look", "no blocks", "no logs"}
    until_well(life, net, random.choice([300, 1800, 3600, 3 * 3600]))


def until_well(life: "Life", net: Net, seconds: int) -> None:
    life.heals = [each for each in life.heals if each[1] != net.name]
    life.heals.append((life.seconds + seconds, net.name))


def reorganises(life: "Life", random: Random) -> None:
    """The newest blocks are replaced; strangers may think better of it, what we signed stays out there."""
    net = random.choice(life.nets)
    depth = random.randint(1, net.depth - 1)
    reorganise(life, net, random, depth, dropped=random.choice([0, 0, 1, 5]))


def reorganises_deeply(life: "Life", random: Random) -> None:
    """Deeper than any payment is asked to be, and not below the horizon: what was final goes, and comes back."""
    net = random.choice(life.nets)
    life.checker.expect_reversals(net.name)
    reorganise(life, net, random, random.randint(net.depth, 20), dropped=0)


def reorganise(life: "Life", net: Net, random: Random, depth: int, dropped: int) -> None:
    depth = min(depth, net.chain.head.number - 12)
    if depth <= 0:
        return
    if not net.is_alone and random.random() < 0.3:  # a provider stays behind on the old fork
        heal(net)
        random.choice(net.views).chain = net.chain.fork()
        until_well(life, net, random.randint(1, FORK_BLOCKS_MAX) * net.chain.seconds_per_block)
    back = [payment.as_sent for payment in net.chain.reorg(depth)]
    kept = [payment for payment in back if payment.fee]
    others = [payment for payment in back if not payment.fee]
    for _ in range(min(dropped, len(others))):
        others.pop(random.randrange(len(others)))
    net.mempool = [payment for payment in back if payment in kept or payment in others] + net.mempool
    is_slow = random.random() < 0.3
    for number in range(depth):
        if is_slow and number < depth - 1:
            late, net.mempool = net.mempool, []
            net.mine()
            net.mempool = late
        else:
            net.mine()
    life.wake(net.name, random.choice([0, 1, 60]))


def moves_while_read(life: "Life", random: Random) -> None:
    """The next look's answers come from both sides of a block, or of a reorganisation."""
    net = random.choice(life.nets)
    after, depth = random.randint(1, 12), random.randint(0, net.depth - 1)

    def act() -> None:
        if depth == 0:
            net.mine()
        else:
            reorganise(life, net, random, depth, dropped=0)

    _after_reads(net, after, act)


def crashes(life: "Life", random: Random) -> None:
    """The process dies at one of the next reads, or around one of the next commits."""
    points = random.randint(1, 6)
    point = random.choice(["before commit", "after commit"])
    if random.random() < 0.5:
        net = random.choice(life.nets)
        _after_reads(net, random.randint(1, 12), lambda: life.node.die())
        return

    def crash_at(passed: str) -> bool:
        nonlocal points
        points -= passed == point
        return points <= 0

    life.node.crash_at = crash_at


def restarts(life: "Life", random: Random) -> None:
    life.node.restart()


def _after_reads(net: Net, count: int, act: Callable[[], None]) -> None:
    """Do something once, in the middle of what is read."""
    left = count

    def before_read(provider: str, what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            forget_what_was_planned(net.views)
            act()

    for view in net.views:
        view.before_read = before_read


def forget_what_was_planned(views: list[FakeReads]) -> None:
    for view in views:
        view.before_read = None
