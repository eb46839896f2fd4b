"""What a node's words about a transaction of ours mean. Pure.

JSON-RPC gives nothing but a code of -32000 and a sentence. These are the
sentences of geth, erigon, nethermind, besu, reth and anvil. What is not
recognised is unclear, and the unclear is resolved by hash, never by signing
anew (C2).
"""

import re
from enum import Enum, auto

from paynode.chains.jsonrpc import RpcError

_KNOWN = re.compile(
    r"already known|known transaction|already imported|already in (the )?(mem)?pool|AlreadyKnown|ALREADY_EXISTS", re.I
)
_POOR = re.compile(r"insufficient funds|insufficient balance|InsufficientFunds|upfront cost exceeds", re.I)
_CHEAP = re.compile(
    r"underpriced|fee too low|FeeTooLow|gas price (is )?(too low|below)|max fee per gas less than block base fee"
    r"|less than (the )?(block )?base fee|below (the )?minimum|tip (is )?too low",
    re.I,
)
_REVERTED = re.compile(
    r"revert|VM execution error|out of gas|invalid opcode|bad instruction|gas required exceeds", re.I
)


class Answer(Enum):
    """Of a node that did not simply accept a transaction."""

    KNOWN = auto()  # it has these very bytes
    TOO_POOR = auto()
    TOO_CHEAP = auto()
    UNCLEAR = auto()


def answer_to_broadcast(error: RpcError) -> Answer:
    if _KNOWN.search(error.message):
        return Answer.KNOWN
    if _POOR.search(error.message):
        return Answer.TOO_POOR
    if _CHEAP.search(error.message):
        return Answer.TOO_CHEAP
    return Answer.UNCLEAR


def is_too_poor(error: RpcError) -> bool:
    """Whether the sender cannot pay what was simulated; ask `is_revert` first, since tokens speak of balances too."""
    return bool(_POOR.search(error.message))


def is_revert(error: RpcError) -> bool:
    """Whether a simulation failed because the contract did (geth: code 3), not because the node could not run it."""
    return error.code == 3 or bool(_REVERTED.search(error.message))
