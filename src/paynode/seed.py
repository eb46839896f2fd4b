"""The mnemonic comes in, the private key of a derivation path goes out. Nothing is logged, and nothing prints.

Only the paths of `domain/key_paths.py` are served. Making a `Seed` imports bip-utils (half a second); a key takes a
millisecond.

https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki
https://github.com/bitcoin/bips/blob/master/bip-0044.mediawiki
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from typing import NoReturn

from paynode.config import ConfigMistakes, Custody, Mistake, Secret, Wrong
from paynode.domain.key_paths import COIN_TYPE

WORD_COUNTS = (12, 15, 18, 21, 24)
ENTROPY_BYTES = 32  # 24 words

_PATH = re.compile(rf"m/44'/{COIN_TYPE}'/[0-9]{{1,10}}'/(0/[0-9]{{1,10}}|1'/0')")


class Seed:
    """The root of every key of this node."""

    __slots__ = ("_root",)

    def __init__(self, mnemonic: Secret) -> None:
        """`mnemonic` is an English BIP-39 phrase; there is no passphrase.

        Raises:
            Wrong: it is none. The problem names a word by its place only.
        """
        from bip_utils import Bip32Slip10Secp256k1, Bip39SeedGenerator
        from bip_utils.ecc.conf import EccConf

        assert EccConf.USE_COINCURVE, "the other backend's arithmetic takes a time that depends on the key"
        words = unicodedata.normalize("NFKD", mnemonic.reveal()).lower().split()
        _check(words)
        self._root = Bip32Slip10Secp256k1.FromSeed(Bip39SeedGenerator(" ".join(words)).Generate())

    def account_xpub(self, account: int) -> str:
        """The extended public key of m/44'/60'/account': it derives that account's addresses and spends nothing."""
        return str(self._root.DerivePath(f"m/44'/{COIN_TYPE}'/{account}'").PublicKey().ToExtended())

    def private_key(self, path: str) -> bytes:
        """The 32 bytes of the key at `path`, a path of `domain/key_paths.py`."""
        assert _PATH.fullmatch(path), f"no key of this node: {path}"
        return bytes(self._root.DerivePath(path).PrivateKey().Raw().ToBytes())

    def address(self, path: str) -> str:
        """The EVM address of the key at `path`."""
        from bip_utils import EthAddrEncoder

        assert _PATH.fullmatch(path), f"no key of this node: {path}"
        return str(EthAddrEncoder.EncodeKey(self._root.DerivePath(path).PublicKey().KeyObject()))

    def __repr__(self) -> str:
        return "Seed(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a seed is not written anywhere")


def load_seed(custody: Custody) -> Seed | None:
    """The seed in the file that the config names; None where this node holds no keys.

    Raises:
        ConfigMistakes: the file cannot be used.
    """
    if custody.mnemonic is None:
        return None
    try:
        return Seed(custody.mnemonic.read())
    except Wrong as wrong:
        mistake = Mistake("custody.mnemonic_file", wrong.problem, wrong.remedy)
    # Outside the handler: nothing of the phrase may hang on the error as its cause.
    raise ConfigMistakes([mistake])


def new_mnemonic() -> Secret:
    """A fresh phrase of 24 English words, from the kernel's random numbers."""
    from bip_utils import Bip39MnemonicGenerator

    return Secret(Bip39MnemonicGenerator().FromEntropy(os.urandom(ENTROPY_BYTES)).ToStr())


def _check(words: Sequence[str]) -> None:
    """Refuse what is no English BIP-39 phrase."""
    from bip_utils import Bip39Languages, Bip39MnemonicValidator
    from bip_utils.bip.bip39.bip39_mnemonic_utils import Bip39WordsListGetter

    remedy = "Write the phrase into it again, as it stands in your backup"
    if len(words) not in WORD_COUNTS:
        raise Wrong(f"has {len(words)} words; a mnemonic phrase has 12, 15, 18, 21 or 24", remedy)
    known = Bip39WordsListGetter.Instance().GetByLanguage(Bip39Languages.ENGLISH)
    listed = {known.GetWordAtIdx(index) for index in range(known.Length())}
    unknown = [str(place) for place, word in enumerate(words, start=1) if word not in listed]
    if unknown:
        problem = f"is no mnemonic phrase: not in the English BIP-39 list at place {', '.join(unknown)}"
        raise Wrong(problem, remedy)
    if not Bip39MnemonicValidator(Bip39Languages.ENGLISH).IsValid(" ".join(words)):
        raise Wrong("is no mnemonic phrase: its checksum is wrong, so a word is wrong or out of place", remedy)
