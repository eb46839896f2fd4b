"""Deposit addresses from an extended public key: m/44'/60'/{account}'/0/{index}.

The one rule: only the public key of the account level is ever held here; it
derives addresses and cannot spend.

https://github.com/bitcoin/bips/blob/master/bip-0044.mediawiki
"""

from typing import TYPE_CHECKING

from paynode.chains.evm.wire import checksummed

if TYPE_CHECKING:
    from bip_utils import Bip44

INDEX_MAX = 2**31 - 1


class AddressDeriver:
    """The deposit addresses of one account. Making one imports bip-utils (1 s); deriving takes 0.2 ms.

    `xpub` is one that the config took, or that a seed made: nothing is wrong with it.
    """

    def __init__(self, xpub: str) -> None:
        self._receiving = _receiving(xpub)

    def address_at(self, index: int) -> str:
        assert 0 <= index <= INDEX_MAX, "BIP-32: deposit addresses are not hardened"
        return checksummed(self._receiving.AddressIndex(index).PublicKey().ToAddress())


def _receiving(xpub: str) -> "Bip44":
    """The node of the change level: from the account's each address would cost twice as much."""
    from bip_utils import Bip44, Bip44Changes, Bip44Coins
    from bip_utils.ecc.conf import EccConf

    assert EccConf.USE_COINCURVE, "without coincurve every address takes six times longer"
    account = Bip44.FromExtendedKey(xpub, Bip44Coins.ETHEREUM)
    assert account.IsPublicOnly(), "a node never derives addresses from a key that can spend"
    return account.Change(Bip44Changes.CHAIN_EXT)
