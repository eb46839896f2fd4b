"""Where each key sits under the seed (BIP-44 for the addresses of customers).

Deposit addresses are children of the account's xpub. The gas station's branch is hardened, so that no stored xpub
covers it: with an xpub, one leaked child key would reveal the whole branch.
"""

COIN_TYPE = 60  # Ether, https://github.com/satoshilabs/slips/blob/master/slip-0044.md; all EVM chains share it


def deposit_path(account: int, index: int) -> str:
    return f"m/44'/{COIN_TYPE}'/{account}'/0/{index}"


def gas_path(account: int) -> str:
    return f"m/44'/{COIN_TYPE}'/{account}'/1'/0'"
