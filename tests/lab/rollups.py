"""Chains whose contracts do not see the chain's own blocks: Arbitrum's, and one where BLOCKHASH means nothing.

Their blocks are the lab's own; only what a call sees is another thing.
"""

from typing import Any

from tests.lab.client import Lab
from tests.lab.solc import test_contracts

ARB_SYS = "0x0000000000000000000000000000000000000064"
HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"
PARENT_NUMBER = 23_000_000
REACH = 256


class Arbitrum(Lab):
    """A provider of a chain where NUMBER and BLOCKHASH speak of a parent chain.

    ArbSys and, since ArbOS 40, EIP-2935's contract speak of the block that the call is pinned to.
    """

    has_history = True

    @classmethod
    def over(cls, lab: Lab) -> "Arbitrum":
        return cls(lab.url, lab.chain_id, lab.client, lab.accounts)

    async def rpc(self, method: str, *params: Any) -> Any:
        if method != "eth_call":
            return await super().rpc(method, *params)
        call, pin, *overrides = params
        systems = await self._systems(pin)
        return await super().rpc("eth_call", call, pin, {**systems, **dict(*overrides)}, {"number": hex(PARENT_NUMBER)})

    async def _systems(self, pin: Any) -> dict[str, Any]:
        """The state override that makes the system contracts speak of the pinned block."""
        if isinstance(pin, dict):
            head = await super().rpc("eth_getBlockByHash", pin["blockHash"], False)
        else:
            head = await super().rpc("eth_getBlockByNumber", pin, False)
        if head is None:  # the call itself will say so
            return {}
        number = int(head["number"], 16)
        heights = range(max(number - REACH, 0), number)
        blocks = await self.rpc_many("eth_getBlockByNumber", [(hex(height), False) for height in heights])
        slots = {f"0x{height:064x}": block["hash"] for height, block in zip(heights, blocks, strict=True)}
        slots["0x" + "f" * 64] = f"0x{number:064x}"
        code = test_contracts()
        systems: dict[str, Any] = {ARB_SYS: {"code": code["ArbSys"].runtime_code, "stateDiff": slots}}
        if self.has_history:
            systems[HISTORY] = {"code": code["ArbHistory"].runtime_code}
        return systems


class OldArbitrum(Arbitrum):
    """Before ArbOS 40: the history contract is Ethereum's, if there is one, and counts by the parent's numbers."""

    has_history = False


class Scrambled(Lab):
    """A provider of a chain where BLOCKHASH is no hash of a block, as on some rollups."""

    @classmethod
    def over(cls, lab: Lab) -> "Scrambled":
        return cls(lab.url, lab.chain_id, lab.client, lab.accounts)

    async def rpc(self, method: str, *params: Any) -> Any:
        if method != "eth_call":
            return await super().rpc(method, *params)
        call, pin, *overrides = params
        head = int(await super().rpc("eth_blockNumber"), 16)
        hashes = {str(height): f"0x{height:064x}" for height in range(max(head - REACH, 0), head)}
        return await super().rpc("eth_call", call, pin, dict(*overrides), {"blockHash": hashes})
