"""Every test of an operation that moves money ends with books that balance."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.lab.simnode import SimNode


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[SimNode]:
    """A node that has seen both of its networks, with coins at the gas station of one; checked when the test ends."""
    node = SimNode(tmp_path)
    await node.look()
    node.fund_gas()
    await node.mine(2)
    yield node
    node.check()
