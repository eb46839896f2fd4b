"""Addresses and keys of a simulated network: `sim1` and 40 hex digits, each from a key that anybody can compute.

There is nothing to keep secret, so there is no mnemonic: a key is the hash of its path. The paths are those of
real networks, so that whatever asks by path need not know the difference.
"""

import hashlib
import re

from paynode.domain.key_paths import deposit_path, gas_path

_ADDRESS = re.compile(r"sim1[0-9a-f]{40}")
_TX_HASH = re.compile(r"0x[0-9a-f]{64}")


def private_key(path: str) -> bytes:
    """The key at a derivation path, such as `m/44'/60'/0'/0/7`."""
    return hashlib.sha256(b"paynode sim " + path.encode()).digest()


def public_key(private: bytes) -> bytes:
    """What shows in a signature; the private key cannot be told from it."""
    return hashlib.sha256(private).digest()


def address_of_public(public: bytes) -> str:
    return "sim1" + hashlib.sha256(public).hexdigest()[:40]


def address_of(private: bytes) -> str:
    return address_of_public(public_key(private))


def deposit_address(account: int, index: int) -> str:
    return address_of(private_key(deposit_path(account, index)))


def gas_address(account: int) -> str:
    return address_of(private_key(gas_path(account)))


def parse_address(text: str) -> str:
    """The canonical form of `text`: lower case.

    Raises:
        ValueError: with a sentence for people.
    """
    address = text.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise ValueError("An address of a simulated network is sim1 and 40 hexadecimal digits.")
    return address


def parse_tx_hash(text: str) -> str:
    """The canonical form of a transaction's hash: lower case.

    Raises:
        ValueError: with a sentence for people.
    """
    hash_ = text.lower()
    if not _TX_HASH.fullmatch(hash_):
        raise ValueError("a transaction hash of a simulated network is 0x and 64 hexadecimal digits")
    return hash_


CUSTOMER = address_of(private_key("customer"))  # who pays where nobody is named
FAUCET = address_of(private_key("faucet"))
