"""The way out: fees, building, signing, broadcasting.

The one rule: nothing is signed that a simulation rejects, and nothing that
could cost more than `fee_limit_units` says. A native sweep pays exactly its
limit, so that nothing stays behind: both fee fields are the price itself.

https://eips.ethereum.org/EIPS/eip-1559
"""

import msgspec
import trio

from paynode.chains.base import Fees, Outgoing, PlannedTx, Refused, SignedTx, TxStatus, Unavailable, WouldRevert
from paynode.chains.evm.codec import call_transfer
from paynode.chains.evm.refusals import Answer, answer_to_broadcast, is_revert, is_too_poor
from paynode.chains.evm.wire import Block, Bytes, Hash, Quantity, Tx, TxReceipt
from paynode.chains.jsonrpc import Garbled, ProviderFailed, RpcError
from paynode.chains.provider import Provider
from paynode.chains.rpc import RpcPool
from paynode.domain.money import Asset
from paynode.domain.sweep import FEE_SHARE_MAX

NATIVE_GAS = 21_000
NATIVE_GAS_MAX = 100_000  # a payee's contract may not burn more of our money than this (C5)
TOKEN_GAS_MAX = 300_000
TOKEN_GAS_GUESS = 100_000  # where an estimate is impossible: the sender holds no token yet
L1_FEE_ORACLE = "0x420000000000000000000000000000000000000F"  # OP stack predeploy
L1_FEE_UPPER_BOUND = "0xf1c7a58b"  # getL1FeeUpperBound(uint256 unsignedTxSize)
NODE_INTERFACE = "0x00000000000000000000000000000000000000C8"  # Arbitrum's: no contract, only eth_call knows it
L1_GAS = "0x77d488a2"  # gasEstimateL1Component(address to, bool contractCreation, bytes data)
NO_L1_FEE_SECONDS = 600.0  # so long an empty answer is believed: it may be one provider's slip
NATIVE_TX_BYTES = 130  # of a plain transfer; with its signature it is at most this
TOKEN_TX_BYTES = 200


class Draft(msgspec.Struct, frozen=True):
    """A transaction before it is signed: the body of a `PlannedTx`. Wei are text: they outgrow JSON integers."""

    chain_id: int
    nonce: int
    to: str
    value: Quantity
    gas: int
    data: Bytes
    price_max: int  # wei per gas: maxFeePerGas, or gasPrice where there is no base fee
    tip: int  # maxPriorityFeePerGas
    is_legacy: bool
    empties_sender: bool
    l1_reserve: Quantity = "0x0"  # left behind for a rollup's data fee

    @property
    def fee_limit_units(self) -> int:
        return self.gas * self.price_max + int(self.l1_reserve, 16)

    def planned(self, sender: str, value_units: int) -> PlannedTx:
        return PlannedTx(sender, self.nonce, msgspec.json.encode(self).decode(), value_units, self.fee_limit_units)


class _Market(msgspec.Struct, frozen=True):
    """What gas costs now, in wei."""

    base: int
    tip: int
    is_legacy: bool

    @property
    def soon(self) -> int:
        """Enough for the next two blocks, however full (each raises the base fee by an eighth at most)."""
        return self.tip if self.is_legacy else self.base * 5 // 4 + self.tip

    @property
    def patient(self) -> int:
        """A limit that lasts through six full blocks; what is not needed is not paid."""
        return self.tip if self.is_legacy else self.base * 2 + self.tip


class Sending:
    """Transactions of ours on one network."""

    def __init__(self, chain_id: int, pool: RpcPool) -> None:
        self._chain_id = chain_id
        self._pool = pool
        self._has_l1_fee = False  # True once the oracle has answered: then it is there for good
        self._no_l1_fee_until = -float("inf")

    async def fees(self, asset: Asset, sender: str, recipient: str) -> Fees:
        provider = self._pool.first
        market = await self._market(provider)
        if asset.contract is None:
            gas = await self._gas(provider, sender, recipient, 0, "0x", NATIVE_GAS_MAX)
        else:
            try:
                gas = await self._gas(provider, sender, asset.contract, 0, call_transfer(recipient, 1), TOKEN_GAS_MAX)
            except (WouldRevert, Refused):
                gas = TOKEN_GAS_GUESS
        reserve = await self._l1_fee(provider, NATIVE_TX_BYTES if asset.contract is None else TOKEN_TX_BYTES)
        return Fees(market.soon, gas * market.patient + reserve)

    async def dry_run(self, wanted: Outgoing) -> None:
        assert wanted.asset.contract is not None, "coins just move"
        data = call_transfer(wanted.recipient, wanted.units)
        await self._simulate(self._pool.first, wanted.sender, wanted.asset.contract, data)

    async def prepare(self, wanted: Outgoing, nonce: int) -> PlannedTx:
        provider = self._pool.first
        market = await self._market(provider)
        if wanted.asset.contract is not None:
            return await self._prepare_token(provider, market, wanted, wanted.asset.contract, nonce)
        reserve = await self._l1_fee(provider, NATIVE_TX_BYTES)
        gas = await self._gas(provider, wanted.sender, wanted.recipient, wanted.units, "0x", NATIVE_GAS_MAX)
        if wanted.empties_sender:
            price, tip, value = market.soon, market.soon, wanted.units - gas * market.soon - reserve
            if wanted.units - value > wanted.units * FEE_SHARE_MAX:  # it was less when the sweep was planned
                raise Refused("the fee is more than a quarter of what is there")
        else:
            price, tip, value = market.patient, market.tip, wanted.units
        draft = Draft(
            chain_id=self._chain_id,
            nonce=nonce,
            to=wanted.recipient,
            value=hex(value),
            gas=gas,
            data="0x",
            price_max=price,
            tip=tip,
            is_legacy=market.is_legacy,
            empties_sender=wanted.empties_sender,
            l1_reserve=hex(reserve),
        )
        return draft.planned(wanted.sender, value)

    async def _prepare_token(
        self, provider: Provider, market: _Market, wanted: Outgoing, contract: str, nonce: int
    ) -> PlannedTx:
        data = call_transfer(wanted.recipient, wanted.units)
        await self._simulate(provider, wanted.sender, contract, data)
        gas = await self._gas(provider, wanted.sender, contract, 0, data, TOKEN_GAS_MAX)
        reserve = await self._l1_fee(provider, TOKEN_TX_BYTES)
        price = min(market.patient, await self._affordable(provider, wanted.sender, gas, reserve))
        if price < market.base + market.tip:
            raise Refused("the sender cannot pay the fee")
        draft = Draft(
            chain_id=self._chain_id,
            nonce=nonce,
            to=contract,
            value="0x0",
            gas=gas,
            data=data,
            price_max=price,
            tip=min(market.tip, price),
            is_legacy=market.is_legacy,
            empties_sender=False,
            l1_reserve=hex(reserve),
        )
        return draft.planned(wanted.sender, wanted.units)

    async def bump(self, planned: PlannedTx) -> PlannedTx:
        provider = self._pool.first
        market = await self._market(provider)
        draft = msgspec.json.decode(planned.body, type=Draft)
        if draft.empties_sender:
            price = max(raised(draft.price_max), market.soon)
            value = int(draft.value, 16) - draft.gas * (price - draft.price_max)
            if value <= 0:
                raise Refused("the fee is more than what is there")
            bumped = msgspec.structs.replace(draft, value=hex(value), price_max=price, tip=price)
            return bumped.planned(planned.sender, value)
        price, tip = max(raised(draft.price_max), market.patient), max(raised(draft.tip), market.tip)
        affordable = await self._affordable(
            provider, planned.sender, draft.gas, int(draft.value, 16) + int(draft.l1_reserve, 16)
        )
        if affordable < raised(draft.price_max):
            raise Refused("the sender cannot pay a higher fee")
        price = min(price, affordable)
        bumped = msgspec.structs.replace(draft, price_max=price, tip=min(tip, price))
        return bumped.planned(planned.sender, planned.value_units)

    async def broadcast(self, signed: SignedTx) -> None:
        """Every healthy provider is asked until one has the bytes."""
        failures: list[Unavailable] = []
        refusals: list[str] = []
        for provider in self._pool.providers() or (self._pool.first,):
            try:
                await provider.call("eth_sendRawTransaction", ["0x" + signed.raw.hex()], Hash)
                return
            except RpcError as error:
                match answer_to_broadcast(error):
                    case Answer.KNOWN:
                        return
                    case Answer.TOO_POOR | Answer.TOO_CHEAP:
                        refusals.append(str(error))
                    case Answer.UNCLEAR:
                        failures.append(error)
            except ProviderFailed as failure:
                failures.append(failure)
        if refusals and not failures:  # after an unclear answer the bytes may be out
            raise Refused("; ".join(refusals))
        raise Unavailable("; ".join([*refusals, *map(str, failures)]))

    async def status(self, tx_hash: str) -> TxStatus:
        """By every healthy provider: one that knows it is enough."""
        failures: list[Unavailable] = []
        providers = self._pool.providers() or (self._pool.first,)
        for provider in providers:
            try:
                if await provider.call("eth_getTransactionReceipt", [tx_hash], TxReceipt | None) is not None:
                    return TxStatus.MINED
                if await provider.call("eth_getTransactionByHash", [tx_hash], Tx | None) is not None:
                    return TxStatus.PENDING
            except ProviderFailed as failure:
                failures.append(failure)
        if len(failures) == len(providers):
            raise Unavailable("; ".join(map(str, failures)))
        return TxStatus.UNKNOWN

    async def _market(self, provider: Provider) -> _Market:
        block = await provider.call("eth_getBlockByNumber", ["latest", False], Block)
        if block.base_fee_per_gas is None:
            return _Market(0, await self._quantity(provider, "eth_gasPrice"), is_legacy=True)
        base = int(block.base_fee_per_gas, 16)
        try:
            tip = await self._quantity(provider, "eth_maxPriorityFeePerGas")
        except RpcError:
            tip = max(await self._quantity(provider, "eth_gasPrice") - base, 0)
        return _Market(base, tip, is_legacy=False)

    async def _gas(self, provider: Provider, sender: str, to: str, value: int, data: str, gas_max: int) -> int:
        """A limit for this call: exact for a plain transfer, else a quarter above the estimate, and never boundless."""
        call = {"from": sender, "to": to, "value": hex(value), "data": data}
        try:
            estimate = int(await provider.call("eth_estimateGas", [call], Quantity), 16)
        except RpcError as error:
            raise _judged(error) from None
        gas = estimate if estimate == NATIVE_GAS else estimate * 5 // 4
        if gas > gas_max:
            gas_max += await self._l1_gas(provider, to, data) * 5 // 4
        if gas > gas_max:
            raise WouldRevert(f"it would need {gas} gas, and we give {gas_max} at most")
        return gas

    async def _simulate(self, provider: Provider, sender: str, contract: str, data: str) -> None:
        """Run a token transfer without sending it. No return value is fine (Tether), false is not (A1).

        Without a gas price in the call nobody asks whether the sender could pay for it.
        """
        try:
            answer: str = await provider.call(
                "eth_call", [{"from": sender, "to": contract, "data": data}, "latest"], Bytes
            )
        except RpcError as error:
            raise _judged(error) from None
        if answer != "0x" and int(answer, 16) == 0:
            raise WouldRevert("the token's transfer returns false")

    async def _affordable(self, provider: Provider, sender: str, gas: int, reserved: int) -> int:
        """The highest price per gas that the sender's native coins allow."""
        balance = int(await provider.call("eth_getBalance", [sender, "latest"], Quantity), 16)
        return max(balance - reserved, 0) // gas

    async def _l1_fee(self, provider: Provider, tx_bytes: int) -> int:
        """A bound of what a rollup of the OP stack adds for data, doubled since it moves; 0 elsewhere."""
        if trio.current_time() < self._no_l1_fee_until:
            return 0
        call = {"to": L1_FEE_ORACLE, "data": f"{L1_FEE_UPPER_BOUND}{tx_bytes:064x}"}
        try:
            answer: str = await provider.call("eth_call", [call, "latest"], Bytes)
        except RpcError as error:
            raise _judged(error) from None
        if len(answer) == 66:
            self._has_l1_fee = True
            return 2 * int(answer, 16)
        if self._has_l1_fee:
            raise Garbled(provider.name, "eth_call: nothing where the fee oracle is")
        self._no_l1_fee_until = trio.current_time() + NO_L1_FEE_SECONDS
        return 0

    async def _l1_gas(self, provider: Provider, to: str, data: str) -> int:
        """How much of a gas estimate pays for the parent chain of an Arbitrum chain, and burns nothing; 0 elsewhere.

        https://docs.arbitrum.io/arbitrum-essentials/nodeinterface/reference
        """
        content = data[2:]
        words = (
            f"{to[2:].lower():0>64}{0:064x}{96:064x}{len(content) // 2:064x}{content:0<{-(-len(content) // 64) * 64}}"
        )
        try:
            answer: str = await provider.call(
                "eth_call", [{"to": NODE_INTERFACE, "data": L1_GAS + words}, "latest"], Bytes
            )
        except RpcError:
            return 0
        return int(answer[:66], 16) if len(answer) == 2 + 3 * 64 else 0

    async def _quantity(self, provider: Provider, method: str) -> int:
        return int(await provider.call(method, [], Quantity), 16)


def raised(price: int) -> int:
    """At least 12.5 % more: nodes want 10 for a replacement, some 12.5."""
    return price + max(-(-price // 8), 1)


def sign(planned: PlannedTx, private_key: bytes) -> SignedTx:
    """The signed bytes of `planned`; the key must be its sender's."""
    from eth_account import Account  # 0.7 s: `warm` has it imported long before

    draft = msgspec.json.decode(planned.body, type=Draft)
    account = Account.from_key(private_key)
    assert account.address == planned.sender, "the key is not the sender's"
    assert draft.nonce == planned.nonce
    fields = {
        "chainId": draft.chain_id,
        "nonce": draft.nonce,
        "to": draft.to,
        "value": int(draft.value, 16),
        "gas": draft.gas,
        "data": draft.data,
    }
    if draft.is_legacy:
        fields["gasPrice"] = draft.price_max
    else:
        fields |= {"type": 2, "maxFeePerGas": draft.price_max, "maxPriorityFeePerGas": draft.tip}
    signed = account.sign_transaction(fields)
    return SignedTx(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())


def _judged(error: RpcError) -> WouldRevert | Refused | RpcError:
    """What a failed simulation says of the transaction; the error itself if it says nothing of it."""
    if is_revert(error):
        return WouldRevert(error.message)
    return Refused(error.message) if is_too_poor(error) else error
