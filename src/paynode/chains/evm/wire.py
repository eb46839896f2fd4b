"""What EVM providers answer, as typed shapes, and the canonical text of addresses. Pure.

The one rule: what concerns us is checked before anybody reads it, so a reply of
another shape is `Garbled` at the seam and never a surprise further in. A block
or a page of logs may hold thousands of transfers between strangers: `AnyTx` and
`AnyLog` are only told apart by whom they concern, and no other field is read.

https://ethereum.github.io/execution-apis/
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from paynode.chains.evm.look import Header
from paynode.chains.jsonrpc import checked
from paynode.config import checksum_address
from paynode.domain.chain import BlockRef

Quantity = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{1,64}\Z")]
# Of blocks, logs and transactions: the store holds 63 bits.
Count = Annotated[str, Meta(pattern=r"^0x0*[0-9a-fA-F]{1,15}\Z")]
Hash = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{64}\Z")]
Address = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
Bytes = Annotated[str, Meta(pattern=r"^0x([0-9a-fA-F]{2})*\Z")]

# A pattern costs more than all the rest of reading a field, a length costs nothing.
AnyHash = Annotated[str, Meta(min_length=66, max_length=66)]
AnyAddress = Annotated[str, Meta(min_length=42, max_length=42)]

TYPE_MAX = 4  # of transactions that Ethereum knows: legacy, EIP-2930, EIP-1559, EIP-4844 and EIP-7702
NONCE_MAX = 2**60 - 1  # more than any account can send, and less than the store holds
TIMESTAMP_MAX = 32_503_679_999  # the last second of the year 2999: what is reckoned from it must be a datetime, too


class Block(msgspec.Struct, frozen=True, rename="camel"):
    """A block's header; its transactions, if asked for, are in `FullBlock`."""

    number: Count
    hash: Hash
    parent_hash: Hash
    timestamp: Quantity
    base_fee_per_gas: Quantity | None = None

    def __post_init__(self) -> None:
        if int(self.timestamp, 16) > TIMESTAMP_MAX:
            raise ValueError("a timestamp beyond the year 2999")

    @property
    def header(self) -> Header:
        return Header(int(self.number, 16), self.hash.lower(), self.parent_hash.lower(), int(self.timestamp, 16))

    @property
    def ref(self) -> BlockRef:
        return BlockRef(int(self.number, 16), self.hash.lower(), datetime.fromtimestamp(int(self.timestamp, 16), UTC))


class Tx(msgspec.Struct, frozen=True, rename="camel"):
    """A transaction, mined or pending."""

    hash: Hash
    from_: Address = msgspec.field(name="from")
    value: Quantity
    to: Address | None = None  # None: it makes a contract
    nonce: Quantity = "0x0"
    type: Quantity = "0x0"
    block_hash: Hash | None = None

    @property
    def account_nonce(self) -> int | None:
        """The sender's nonce, which no other transaction of theirs has; rollups' own types have none or repeat it."""
        nonce = int(self.nonce, 16)
        return nonce if int(self.type, 16) <= TYPE_MAX and nonce <= NONCE_MAX else None


class AnyTx(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A transaction of whoever it may be, in a block at hand: text, of which only the length is checked."""

    hash: AnyHash
    from_: str = msgspec.field(name="from")
    value: str
    to: AnyAddress | None = None
    nonce: str = "0x0"
    type: str = "0x0"


class AnyBlock(Block, frozen=True, rename="camel", kw_only=True):
    """A block as it comes, with its transactions."""

    transactions: list[AnyTx]


@dataclass(frozen=True, slots=True)
class FullBlock:
    """A block and its transactions; those that somebody asks for are checked.

    Each question raises `Garbled` if one of its transactions has another shape.
    """

    provider: str  # who answers for them
    ref: BlockRef
    transactions: Sequence[AnyTx]

    def txs_to(self, addresses: Container[str]) -> list[Tx]:
        """Its transactions to one of `addresses`, in lower case."""
        return self._checked(tx for tx in self.transactions if tx.to is not None and tx.to.lower() in addresses)

    def txs_of(self, hashes: Container[str]) -> list[Tx]:
        """Its transactions of these hashes, in lower case."""
        return self._checked(tx for tx in self.transactions if tx.hash.lower() in hashes)

    def _checked(self, txs: Iterable[AnyTx]) -> list[Tx]:
        return checked(self.provider, list(txs), list[Tx])


class AnyLog(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A log of whomever it may concern: text, of which only the length is checked."""

    address: str
    topics: list[AnyHash]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    log_index: str
    removed: bool = False


class Log(msgspec.Struct, frozen=True, rename="camel"):
    address: Address
    topics: list[Hash]
    data: Bytes
    block_number: Quantity
    block_hash: Hash
    transaction_hash: Hash
    log_index: Count
    removed: bool = False


class TxReceipt(msgspec.Struct, frozen=True, rename="camel"):
    transaction_hash: Hash
    block_hash: Hash
    block_number: Quantity
    gas_used: Quantity
    logs: list[Log]
    status: Quantity
    effective_gas_price: Quantity = "0x0"
    l1_fee: Quantity | None = None  # OP stack: what the data cost on the layer below

    @property
    def succeeded(self) -> bool:
        return int(self.status, 16) == 1

    @property
    def fee_units(self) -> int:
        l1_fee = int(self.l1_fee, 16) if self.l1_fee else 0
        return int(self.gas_used, 16) * int(self.effective_gas_price, 16) + l1_fee


def logs_with(provider: str, logs: Iterable[AnyLog], topics: Container[str]) -> list[Log]:
    """Those of `logs` whose second or third topic, in lower case, is one of `topics`; the first names the event.

    Raises:
        Garbled: one of them has another shape.
    """
    found = [
        log
        for log in logs
        if len(log.topics) > 2 and (log.topics[2].lower() in topics or log.topics[1].lower() in topics)
    ]
    return checked(provider, found, list[Log])


@lru_cache(maxsize=65_536)
def checksummed(address: str) -> str:
    """`address` (0x and 40 hex digits, any case) with the case that proves it. Remembered: ours come up all day."""
    return checksum_address(bytes.fromhex(address[2:]))


def parse_address(text: str) -> str:
    """The checksummed form of an address as people write it.

    One case throughout is accepted, since many wallets print it; mixed case must be the right one.

    Raises:
        ValueError: it is no address, or its checksum is wrong; a sentence for people.
    """
    digits = text[2:]
    if not text.startswith("0x") or len(digits) != 40 or not all(c in "0123456789abcdefABCDEF" for c in digits):
        raise ValueError("not an address: it must be 0x and 40 hexadecimal digits")
    canonical = checksummed(text)
    if digits not in (digits.lower(), digits.upper()) and text != canonical:
        raise ValueError("the address has a typing error: its checksum (EIP-55) does not match")
    return canonical


def parse_tx_hash(text: str) -> str:
    """The canonical form, in lower case, of a transaction's hash as people write it.

    Raises:
        ValueError: it is none; a sentence for people.
    """
    digits = text[2:].lower()
    if text[:2] not in ("0x", "0X") or len(digits) != 64 or not all(c in "0123456789abcdef" for c in digits):
        raise ValueError("not a transaction hash: it must be 0x and 64 hexadecimal digits")
    return f"0x{digits}"
