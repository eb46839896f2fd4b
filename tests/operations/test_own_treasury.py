"""A treasury must be somebody else's: money swept to an address of ours would go round for ever."""

from pathlib import Path

from tests.lab.simnode import GAS, TREASURY, SimNode

from paynode.operations.sweeps import is_own_address
from paynode.store.sweeps import TreasuryRecord


async def test_an_address_is_ours_also_where_it_is_not_watched(tmp_path: Path) -> None:
    """Method: addresses issued before a network was enabled have no watch there."""
    node = SimNode(tmp_path)
    await node.mine()
    issued = node.address(node.create())
    node.run("delete from watches where network = 'beta'")

    def is_ours(address: str) -> bool:
        record = TreasuryRecord("beta", node.store_id, address, node.clock())
        return node.database.read(is_own_address, node.catalogue, "beta", record)

    assert is_ours(issued)
    assert is_ours(GAS)
    assert not is_ours(TREASURY)
