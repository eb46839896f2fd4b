"""EVM networks: Ethereum, its rollups and its look-alikes.

adapter   the Chain: ticks with failover, and the way out
tick      one tick, rule by rule; sight, tokens, natives, drift, own, claims, verify are its I/O
fork, explain, search, codec, watchlist    the deciding part, pure
look, reads, wire                          what providers are asked and answer
sending, refusals                          fees, building, signing, broadcasting
addresses                                  deposit addresses from an extended public key
"""


def warm() -> None:
    """Import what signing and deriving need. It takes a second or two: do it in a thread, after READY."""
    import bip_utils  # noqa: F401
    import eth_account  # noqa: F401
