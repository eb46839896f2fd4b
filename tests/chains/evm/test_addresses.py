"""Deposit addresses against vectors published by others.

Sources: the accounts that anvil and hardhat print at start for "test test test test test test test test test test
test junk" (https://hardhat.org/hardhat-network/docs/reference#accounts); the first receiving address of "abandon ...
about" as https://iancoleman.io/bip39/ shows it (BIP44, coin ETH).
"""

import pytest
from bip_utils import Bip39SeedGenerator, Bip44, Bip44Coins
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from paynode.chains.evm.addresses import AddressDeriver
from paynode.chains.evm.wire import checksummed, parse_address

JUNK = "test test test test test test test test test test test junk"
ABANDON = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

# EIP-55's own test cases: https://eips.ethereum.org/EIPS/eip-55
EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


def account(mnemonic: str) -> Bip44:
    return Bip44.FromSeed(Bip39SeedGenerator(mnemonic).Generate(), Bip44Coins.ETHEREUM).Purpose().Coin().Account(0)


def xpub(mnemonic: str) -> str:
    return str(account(mnemonic).PublicKey().ToExtended())


@pytest.mark.parametrize(
    ("mnemonic", "index", "address"),
    [
        (JUNK, 0, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        (JUNK, 1, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        (JUNK, 2, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
        (JUNK, 9, "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        (ABANDON, 0, "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"),
    ],
)
def test_addresses_are_those_that_wallets_publish(mnemonic: str, index: int, address: str) -> None:
    assert AddressDeriver(xpub(mnemonic)).address_at(index) == address


@pytest.mark.parametrize("address", EIP_55)
def test_checksums_are_those_of_the_standard(address: str) -> None:
    assert checksummed(address.lower()) == address
    assert parse_address(address) == parse_address(address.lower()) == address


@given(st.binary(min_size=20, max_size=20))
def test_checksums_are_those_of_eth_utils(raw: bytes) -> None:
    assert checksummed("0x" + raw.hex()) == to_checksum_address(raw)


@pytest.mark.parametrize(
    "text",
    ["", "0x", "0x12", "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb9226g",
     "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb922660", "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
     "0x٣39Fd6e51aad88F6F4ce6aB8827279cffFb92266"],
)  # fmt: skip
def test_a_mistyped_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_address(text)
