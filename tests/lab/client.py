"""The test's own hand on a chain: pays, mines, reorganises, and reads the truth.

Shares no code with the node, so that a mistake of the node cannot hide in it.
"""

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import eth_abi
import httpx
import trio
from eth_utils import function_signature_to_4byte_selector, to_checksum_address
from tests.lab.solc import Compiled, test_contracts

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
RECEIPT_SECONDS = 120  # takes milliseconds on a quiet machine
EVERYTHING = 2**256 - 1
NOBODY = "0x00000000000000000000000000000000000000aa"  # where a contract is lent to


class LabError(Exception):
    """The chain refused; `args` hold its code, message and data."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A contract on the chain."""

    address: str
    compiled: Compiled


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """A canonical Transfer log, in the node's terms: checksum addresses, lower-case hashes."""

    token: str
    sender: str
    recipient: str
    units: int
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int


@dataclass(frozen=True, slots=True)
class NativeStep:
    """How much an address's native balance changed in one canonical block."""

    address: str
    units: int
    block_number: int
    block_hash: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened on the canonical chain, read directly."""

    transfers: tuple[TokenTransfer, ...]
    native_steps: tuple[NativeStep, ...]


@dataclass(slots=True)
class Lab:
    """A chain under the test's control. `faucet` owns all tokens and plenty of coins."""

    url: str
    chain_id: int
    client: httpx.AsyncClient
    accounts: tuple[str, ...] = ()
    sending: trio.Lock = field(default_factory=trio.Lock)

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, *, chain_id: int) -> AsyncIterator["Lab"]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            lab = cls(url, chain_id, client)
            lab.accounts = tuple(to_checksum_address(a) for a in await lab.rpc("eth_accounts"))
            yield lab

    @property
    def faucet(self) -> str:
        return self.accounts[0]

    async def rpc(self, method: str, *params: Any) -> Any:
        """The result of one call; raises `LabError` on an error."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = (await self.client.post(self.url, json=request)).json()
        if "error" in answer:
            raise LabError(answer["error"].get("code"), answer["error"].get("message"), answer["error"].get("data"))
        return answer["result"]

    async def rpc_many(self, method: str, many_params: Iterable[Sequence[Any]]) -> list[Any]:
        """The results of many calls of one method, in order."""
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, params in enumerate(many_params)
        ]
        results: list[Any] = []
        for first in range(0, len(requests), 500):
            answers = (await self.client.post(self.url, json=requests[first : first + 500])).json()
            results += [answer["result"] for answer in sorted(answers, key=lambda answer: answer["id"])]
        return results

    # Transactions. Each returns the receipt, or only the hash with `is_waiting=False`.

    async def send(
        self,
        to: str | None,
        data: str = "0x",
        *,
        value: int = 0,
        sender: str | None = None,
        gas: int = 15_000_000,
        is_waiting: bool = True,
    ) -> Any:
        tx = {"from": sender or self.faucet, "value": hex(value), "data": data, "gas": hex(gas)}
        if to is not None:
            tx["to"] = to
        async with self.sending:  # anvil gives two that come at once the same nonce
            tx_hash = await self.rpc("eth_sendTransaction", tx)
        return await self.receipt(tx_hash) if is_waiting else tx_hash

    async def receipt(self, tx_hash: str) -> Any:
        """The receipt, waited for: eth_sendTransaction answers before it exists."""
        with trio.fail_after(RECEIPT_SECONDS):
            while True:
                if (receipt := await self.rpc("eth_getTransactionReceipt", tx_hash)) is not None:
                    return receipt
                await trio.sleep(0.005)

    async def deploy(self, name: str, *args: Any) -> Deployed:
        """A contract of `tests/lab/contracts` on the chain, owned by the faucet. Needs a mining chain."""
        compiled = test_contracts()[name]
        types = next((_types(part["inputs"]) for part in compiled.abi if part["type"] == "constructor"), [])
        receipt = await self.send(None, compiled.init_code + eth_abi.encode(types, args).hex())
        assert receipt["status"] == "0x1", f"{name} did not deploy"
        return Deployed(to_checksum_address(receipt["contractAddress"]), compiled)

    async def invoke(self, contract: Deployed, function: str, *args: Any, **how: Any) -> Any:
        """A transaction to `contract`; `how` goes to `send`. A reverting one has status 0x0, and is not an error."""
        return await self.send(contract.address, call_data(contract.compiled, function, args), **how)

    async def read(self, contract: Deployed, function: str, *args: Any, block: str = "latest") -> Any:
        """The answer of a view function."""
        data = call_data(contract.compiled, function, args)
        outputs = _types(_function(contract.compiled, function)["outputs"])
        answer = await self.rpc("eth_call", {"to": contract.address, "data": data}, block)
        (value,) = eth_abi.decode(outputs, bytes.fromhex(answer[2:]))
        return value

    async def transfer(self, token: Deployed, to: str, units: int, **how: Any) -> Any:
        return await self.invoke(token, "transfer", to, units, **how)

    async def send_native(self, to: str, units: int, **how: Any) -> Any:
        return await self.send(to, value=units, **how)

    async def pay_many(self, batch: Deployed, token: Deployed, payments: Sequence[tuple[str, int]]) -> Any:
        """All payments in one transaction, through the `Batch` contract. Needs a mining chain."""
        if await self.read(token, "allowance", self.faucet, batch.address) == 0:
            await self.invoke(token, "approve", batch.address, EVERYTHING)
        recipients, units = [to for to, _ in payments], [paid for _, paid in payments]
        return await self.invoke(batch, "payTokens", token.address, recipients, units)

    async def pay_many_native(self, batch: Deployed, payments: Sequence[tuple[str, int]]) -> Any:
        recipients, units = [to for to, _ in payments], [paid for _, paid in payments]
        return await self.invoke(batch, "payNative", recipients, units, value=sum(units))

    # The chain itself.

    async def mine(self, count: int = 1) -> None:
        await self.rpc("anvil_mine", hex(count))

    async def reorg(self, depth: int, txs: Sequence[tuple[Any, int]] = ()) -> None:
        """Replace the newest `depth` blocks; their transactions are gone.

        Each of `txs` is (raw transaction or request, offset), the offset counted from the first replaced block.
        """
        await self.rpc("anvil_reorg", depth, [list(pair) for pair in txs])

    async def set_balance(self, address: str, units: int) -> None:
        """Out of nothing and without a transaction; seen from the next block on."""
        await self.rpc("anvil_setBalance", address, hex(units))

    async def set_code(self, address: str, code: str) -> None:
        await self.rpc("anvil_setCode", address, code)

    async def snapshot(self) -> str:
        return str(await self.rpc("evm_snapshot"))

    async def revert(self, snapshot: str) -> None:
        assert await self.rpc("evm_revert", snapshot), "no such snapshot"

    async def block(self, which: int | str = "latest") -> Any:
        """The block, with hashes only; by number or tag."""
        return await self.rpc("eth_getBlockByNumber", hex(which) if isinstance(which, int) else which, False)

    async def truth(self, addresses: Sequence[str], tokens: Sequence[Deployed] = (), *, start: int = 0) -> Truth:
        """All transfers from or to `addresses`, and every step of their native balances, in blocks after `start`."""
        wanted = {address.lower() for address in addresses}
        transfers: list[TokenTransfer] = []
        if tokens:
            asked = {"fromBlock": hex(start + 1), "toBlock": "latest", "topics": [TRANSFER]}
            logs = await self.rpc("eth_getLogs", asked | {"address": [token.address for token in tokens]})
            transfers = [_transfer(log) for log in logs]
        ours = tuple(t for t in transfers if {t.sender.lower(), t.recipient.lower()} & wanted)
        return Truth(ours, tuple(await self._native_steps(addresses, start)))

    async def _native_steps(self, addresses: Sequence[str], start: int) -> list[NativeStep]:
        """Balances are read on both sides of every block with a transaction; in all others only if something moved."""
        head = int((await self.block())["number"], 16)
        blocks = await self.rpc_many(
            "eth_getBlockByNumber", [(hex(height), False) for height in range(start, head + 1)]
        )
        eventful = {height for height, block in enumerate(blocks, start) if block["transactions"] and height > start}
        heights = {start, head} | eventful | {height - 1 for height in eventful}
        held = {height: await self._held(addresses, height) for height in sorted(heights)}
        for low, high in itertools.pairwise(sorted(heights)):
            if held[low] != held[high]:  # out of nothing, where no transaction is between them
                held |= {height: await self._held(addresses, height) for height in range(low + 1, high)}
        return [
            NativeStep(
                to_checksum_address(address), held[after][at] - held[before][at], after, blocks[after - start]["hash"]
            )
            for at, address in enumerate(addresses)
            for before, after in itertools.pairwise(sorted(held))
            if held[after][at] != held[before][at]
        ]

    async def _held(self, addresses: Sequence[str], height: int) -> tuple[int, ...]:
        """The native balances, in one call of a contract that is only lent to the chain."""
        reader = test_contracts()["Balances"]
        call = {"to": NOBODY, "data": call_data(reader, "all", [addresses])}
        answer = await self.rpc("eth_call", call, hex(height), {NOBODY: {"code": reader.runtime_code}})
        (units,) = eth_abi.decode(["uint256[]"], bytes.fromhex(answer[2:]))
        return tuple(units)


def _transfer(log: Any) -> TokenTransfer:
    return TokenTransfer(
        token=to_checksum_address(log["address"]),
        sender=to_checksum_address("0x" + log["topics"][1][26:]),
        recipient=to_checksum_address("0x" + log["topics"][2][26:]),
        units=int(log["data"], 16),
        block_number=int(log["blockNumber"], 16),
        block_hash=log["blockHash"],
        tx_hash=log["transactionHash"],
        log_index=int(log["logIndex"], 16),
    )


def _function(compiled: Compiled, name: str) -> dict[str, Any]:
    return next(part for part in compiled.abi if part["type"] == "function" and part["name"] == name)


def _types(parameters: list[dict[str, Any]]) -> list[str]:
    return [parameter["type"] for parameter in parameters]


def call_data(compiled: Compiled, function: str, args: Sequence[Any]) -> str:
    types = _types(_function(compiled, function)["inputs"])
    selector = function_signature_to_4byte_selector(f"{function}({','.join(types)})")
    return "0x" + (selector + eth_abi.encode(types, args)).hex()
