"""What an EVM address and an account's extended public key must look like to be trusted with money."""

import hashlib
import re

from Crypto.Hash import keccak

from paynode.config.mistakes import Wrong

PRECOMPILES_END = 1 << 16  # the zero address and the chain's built-in contracts: nobody holds a key to them
BURN_ADDRESS = "0x000000000000000000000000000000000000dEaD"
HARDENED = 1 << 31
ACCOUNT_DEPTH = 3  # m / purpose' / coin' / account'

NATIVE_COINS = frozenset(  # where chains log their native coin like a token: listed, every payment would count twice
    {
        "0x0000000000000000000000000000000000001010",  # Polygon
        "0x471EcE3750Da237f93B8E339c536989b8978a438",  # Celo
        "0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000",  # Metis
        "0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE",  # https://eips.ethereum.org/EIPS/eip-7708
    }
)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_BASE58 = {
    character: index for index, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_FIELD = 2**256 - 2**32 - 977  # of secp256k1
_XPUB_VERSION = bytes.fromhex("0488b21e")


def checksum_address(address: bytes) -> str:
    """The 20 bytes as text whose capitals are a checksum. https://eips.ethereum.org/EIPS/eip-55"""
    digits = address.hex()
    digest = keccak.new(digest_bits=256, data=digits.encode("ascii")).hexdigest()
    return "0x" + "".join(
        digit.upper() if nibble >= "8" else digit for digit, nibble in zip(digits, digest, strict=False)
    )


def parse_address(value: object) -> str:
    """An EVM address, its EIP-55 checksum correct."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise Wrong("is not an EVM address", 'Write "0x" and 40 hexadecimal digits')
    if value != checksum_address(bytes.fromhex(value[2:])):
        # The right capitals are not offered: they would make a mistyped address look checked.
        raise Wrong(
            "is not written with its EIP-55 checksum", "Copy the address from the wallet again, capitals included"
        )
    return value


def parse_treasury(value: object) -> str:
    """An address that somebody can hold the key to."""
    address = parse_address(value)
    if int(address, 16) < PRECOMPILES_END or address == BURN_ADDRESS:
        raise Wrong("is an address nobody holds the key to", "Name an address of your own wallet")
    return address


def parse_token(value: object) -> str:
    """The contract of a token that is not the native coin by another name."""
    address = parse_address(value)
    if address in NATIVE_COINS:
        raise Wrong("is the network's native coin, which is paid without it", "Remove the token")
    return address


def parse_account_xpub(value: object) -> str:
    """The extended public key of one account (m/44'/60'/account'), as wallets export it.

    https://github.com/bitcoin/bips/blob/master/bip-0032.mediawiki#serialization-format
    """
    remedy = "Export the account's extended public key (m/44'/60'/0' for account 0), the text that begins with xpub"
    if not isinstance(value, str) or not value.startswith("xpub"):
        raise Wrong("is not an extended public key", remedy)
    serialized = _base58check(value)
    if serialized is None or len(serialized) != 78 or serialized[:4] != _XPUB_VERSION or not _is_key(serialized[45:]):
        raise Wrong("is not a whole extended public key", remedy)
    if serialized[4] != ACCOUNT_DEPTH or int.from_bytes(serialized[9:13], "big") < HARDENED:
        raise Wrong("is not the key of an account: its depth is not m/44'/60'/account'", remedy)
    return value


def account_of(xpub: str) -> int:
    """Which account's key `xpub` is, by its own word."""
    serialized = _base58check(xpub)
    assert serialized is not None, "parse_account_xpub accepted it"
    return int.from_bytes(serialized[9:13], "big") - HARDENED


def _is_key(point: bytes) -> bool:
    """Whether these 33 bytes are a point of secp256k1, y^2 = x^3 + 7. https://www.secg.org/sec1-v2.pdf 2.3.4"""
    x = int.from_bytes(point[1:], "big")
    return point[0] in (2, 3) and x < _FIELD and pow(x**3 + 7, (_FIELD - 1) // 2, _FIELD) == 1  # Euler's criterion


def _base58check(text: str) -> bytes | None:
    """The payload of a base58check text of an extended key's length; None if it is none."""
    if len(text) > 112 or not all(character in _BASE58 for character in text):
        return None
    number = 0
    for character in text:
        number = number * 58 + _BASE58[character]
    whole = number.to_bytes(83, "big")  # 112 characters of base58 may need 82.04 bytes
    payload, checksum = whole[1:-4], whole[-4:]
    digest = hashlib.sha256(hashlib.sha256(payload).digest()).digest()
    return payload if whole[0] == 0 and digest[:4] == checksum else None
