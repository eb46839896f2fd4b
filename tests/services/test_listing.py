"""The listing service: a token that is not what the config says is offered to nobody, until it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from tests.lab.simnode import SimNode

from paynode.chains.base import Unavailable
from paynode.domain.errors import Conflict
from paynode.domain.money import Asset
from paynode.services import listing
from paynode.services.listing import AGAIN_SECONDS, INTERVAL_SECONDS
from paynode.store import refused_methods

WRONG = "its contract counts in 18 decimals, the config in 6"


@pytest.fixture
async def node(tmp_path: Path) -> SimNode:
    node = SimNode(tmp_path)
    await node.look()
    return node


@contextmanager
def troubled(node: SimNode, reason: str | None) -> Iterator[list[str]]:
    """What the network says of its token (None: it does not answer); yields the methods that it was asked about."""
    asked: list[str] = []

    async def trouble(asset: Asset) -> str | None:
        asked.append(asset.method)
        if reason is None:
            raise Unavailable("nobody answers")
        return reason if asset.method == "alpha_usdt" else None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(node.chains["alpha"], "listing_trouble", trouble)
        yield asked


async def ask(node: SimNode) -> bool:
    return await listing.ask(node.database, node.catalogue, node.chains["alpha"], node.clock)


async def test_a_token_that_is_refused_gets_no_address_and_the_others_do(node: SimNode) -> None:
    before = node.create(methods=["alpha_usdt"])
    with troubled(node, WRONG):
        assert await ask(node) is False
    assert node.database.read(refused_methods.reasons) == {"alpha_usdt": WRONG}
    with pytest.raises(Conflict, match="method_refused"):
        node.create(methods=["alpha_usdt"])
    later = node.create(methods=["alpha_usdt"], provision=False)
    with pytest.raises(Conflict, match="method_refused"):
        node.provision(later, "alpha_usdt")
    node.create(methods=["beta_usdt"])
    offered = [entry.method for entry in node.invoice(node.create(methods=(), provision=False)).methods]
    assert "alpha_usdt" not in offered
    assert {"alpha_sim", "beta_usdt"} <= set(offered)
    node.pay(before, 10_000_000)
    await node.mine(3)
    assert node.states(before) == ("paid", "exact")
    assert await ask(node) is True
    node.create(methods=["alpha_usdt"])


async def test_while_nobody_answers_what_was_known_stays(node: SimNode) -> None:
    with troubled(node, WRONG):
        await ask(node)
    with troubled(node, None), pytest.raises(Unavailable):
        await ask(node)
    assert node.database.read(refused_methods.reasons) == {"alpha_usdt": WRONG}


@pytest.mark.parametrize(("reason", "seconds"), [(WRONG, AGAIN_SECONDS), (None, AGAIN_SECONDS), ("", INTERVAL_SECONDS)])
async def test_it_asks_again_soon_only_while_something_is_wrong(
    node: SimNode, autojump_clock: trio.testing.MockClock, reason: str | None, seconds: float
) -> None:
    beats: list[None] = []
    run = partial(listing.run, node.database, node.catalogue, node.chains["alpha"], clock=node.clock)
    if reason == "":
        with trio.move_on_after(seconds + 1):
            await run(beat=partial(beats.append, None))
    else:
        with troubled(node, reason), trio.move_on_after(seconds + 1):
            await run(beat=partial(beats.append, None))
    assert len(beats) == 2
