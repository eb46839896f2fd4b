"""Deposit addresses from an extended public key: m/44'/60'/{account}'/0/{index}.

The one rule: only the public key of the account level is ever held here; it
derives addresses and cannot spend.

https://github.com/bitcoin/bips/blob/master/bip-0044.mediawiki
"""

from typing import TYPE_CHECKING

from paynode.chains.evm.wire import checksummed

if TYPE_CHECKING:
    from bip_utils import Bip44

ACCOUNT_DEPTH = 3  # m / purpose' / coin' / account'
INDEX_MAX = 2**31 - 1


class AddressDeriver:
    """The deposit addresses of one account. Making one imports bip-utils (1 s); deriving takes 0.2 ms.

    Raises:
        ValueError: not an extended public key of the account level; a sentence for people.
    """

    def __init__(self, xpub: str) -> None:
        # The node of the change level is kept: from the account each address would cost twice as much.
        self._receiving = _receiving(xpub)

    def address_at(self, index: int) -> str:
        assert 0 <= index <= INDEX_MAX, "BIP-32: deposit addresses are not hardened"
        return checksummed(self._receiving.AddressIndex(index).PublicKey().ToAddress())


def xpub_problem(text: str) -> str | None:
    """What is wrong with `text` as an extended public key, in a sentence for people; None if nothing is."""
    try:
        _receiving(text)
    except ValueError as error:
        return str(error)
    return None


def _receiving(xpub: str) -> "Bip44":
    from bip_utils import Base58ChecksumError, Bip32KeyError, Bip44, Bip44Changes, Bip44Coins, Bip44DepthError
    from bip_utils.ecc.conf import EccConf

    assert EccConf.USE_COINCURVE, "without coincurve every address takes six times longer"
    if xpub.startswith("xprv"):
        raise ValueError(
            "this is an extended private key: whoever reads it owns the money. Give the public one, xpub..."
        )
    try:
        account = Bip44.FromExtendedKey(xpub, Bip44Coins.ETHEREUM)
    except (Base58ChecksumError, Bip32KeyError, Bip44DepthError, ValueError):
        raise ValueError("not an extended public key (xpub...)") from None
    depth = account.PublicKey().Bip32Key().Data().Depth().ToInt()
    if depth != ACCOUNT_DEPTH or not account.IsPublicOnly():
        raise ValueError(
            f"an extended public key of the account level (m/44'/60'/0') is needed; this one has depth {depth}"
        )
    return account.Change(Bip44Changes.CHAIN_EXT)
