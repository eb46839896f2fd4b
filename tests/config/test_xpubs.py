"""Which extended public keys a config takes: one that it takes must derive addresses, and none may be able to spend."""

import hashlib

import pytest
from bip_utils import Base58Encoder, Bip39SeedGenerator, Bip44, Bip44Changes, Bip44Coins
from hypothesis import given
from hypothesis import strategies as st

from paynode.chains.evm.addresses import AddressDeriver
from paynode.config.evm import parse_account_xpub
from paynode.config.mistakes import Wrong

JUNK = "test test test test test test test test test test test junk"
ACCOUNT = Bip44.FromSeed(Bip39SeedGenerator(JUNK).Generate(), Bip44Coins.ETHEREUM).Purpose().Coin().Account(0)
XPUB = str(ACCOUNT.PublicKey().ToExtended())


def xpub_of(point: bytes) -> str:
    """The extended key of account 0 with this public key."""
    serialized = bytes.fromhex("0488b21e03") + bytes(4) + (1 << 31).to_bytes(4, "big") + bytes(32) + point
    return str(Base58Encoder.Encode(serialized + hashlib.sha256(hashlib.sha256(serialized).digest()).digest()[:4]))


def test_the_key_of_an_account_is_taken() -> None:
    assert parse_account_xpub(XPUB) == XPUB


@pytest.mark.parametrize(
    "text",
    [
        "",
        "xpub",
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        XPUB[:-1] + "x",
        str(ACCOUNT.PrivateKey().ToExtended()),
        str(ACCOUNT.Change(Bip44Changes.CHAIN_EXT).PublicKey().ToExtended()),
        xpub_of(b"\x02" + (5).to_bytes(32, "big")),  # no point of secp256k1 has this x
        xpub_of(b"\x02" + b"\xff" * 32),
    ],
)
def test_another_key_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    with pytest.raises(Wrong) as refused:
        parse_account_xpub(text)
    assert len(text) < 5 or text not in f"{refused.value.problem} {refused.value.remedy}"


@given(st.text() | st.text(alphabet="xpub123456789ABCabc").map("xpub".__add__))
def test_no_text_whatever_breaks_the_check(text: str) -> None:
    with pytest.raises(Wrong):
        parse_account_xpub(text)


@given(st.integers(0, 2**256 - 1), st.sampled_from([b"\x02", b"\x03"]))
def test_a_key_that_is_taken_derives_addresses(x: int, sign: bytes) -> None:
    text = xpub_of(sign + x.to_bytes(32, "big"))
    try:
        parse_account_xpub(text)
    except Wrong:
        return
    assert AddressDeriver(text).address_at(0).startswith("0x")
