"""The look through Multicall3, for providers that neither lend our contract an address nor run it as init code. Pure.

One rule: it gives the words that our own contract would give, or none. Three things differ. Code sizes cannot be
asked for and are UNKNOWN. What a sub-call burns cannot be bounded: the context and the native balances come first,
because a token may take all the gas of those behind it. And NUMBER may be another chain's (Arbitrum): there EIP-2935's
contract proves the block, which in block n remembers the hash of n - 1 and not yet its own.

https://github.com/mds1/multicall3
"""

from collections.abc import Sequence

from paynode.chains.evm.question import UNKNOWN, Question

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"  # https://eips.ethereum.org/EIPS/eip-2935
AGGREGATE3 = "82ad56cb"  # aggregate3((address,bool,bytes)[])
NUMBER = "42cbb15c"  # getBlockNumber()
TIMESTAMP = "0f28c97d"  # getCurrentBlockTimestamp()
CHAIN_ID = "3408e470"  # getChainId()
BLOCK_HASH = "ee82ac5e"  # getBlockHash(uint256)
NATIVE = "4d2301cc"  # getEthBalance(address)
BALANCE_OF = "70a08231"  # balanceOf(address)


def call_data(question: Question) -> str:
    """What Multicall3 is sent, as hex without 0x: each sub-call may fail without failing the others."""
    heights = [f"{height:064x}" for height in _heights(question)]
    holders = [_padded(address) for address in question.addresses]
    calls = [(MULTICALL3, NUMBER), (MULTICALL3, TIMESTAMP), (MULTICALL3, CHAIN_ID)]
    calls += [(HISTORY, height) for height in heights]
    calls += [(MULTICALL3, BLOCK_HASH + height) for height in heights]
    calls += [(MULTICALL3, NATIVE + holder) for holder in holders]
    calls += [(token, BALANCE_OF + holder) for token in question.tokens for holder in holders]
    return AGGREGATE3 + _encode(calls)


def words(question: Question, content: bytes) -> list[int]:
    """The answer to `question` in the order of our own contract's words.

    Raises:
        ValueError: it is no answer to it.
        EOFError: the gas ended before the last native balance.
    """
    answers = _decode(content)
    heights, holders, tokens = _heights(question), question.addresses, question.tokens
    if len(answers) != 3 + 2 * len(heights) + len(holders) * (1 + len(tokens)):
        raise ValueError("not the answers to those calls")
    rest = iter(answers)
    context = [next(rest) for _ in range(3)]
    remembered = {height: next(rest) or 0 for height in heights}
    hashes = {height: next(rest) or 0 for height in heights}
    natives = [next(rest) for _ in holders]
    units = [[next(rest) for _ in holders] for _ in tokens]
    told = [word for word in (*context, *natives) if word is not None]
    if len(told) != 3 + len(holders):
        raise EOFError
    number, timestamp, chain_id = told[:3]
    if number != question.number:
        hashes = {}
        if remembered[_parent(question)] and not remembered[question.number]:
            number = question.number
    found = [number, timestamp, chain_id]
    for height in (_parent(question), *question.heights):
        found.append((remembered[height] or hashes.get(height, 0)) if height < question.number else 0)
    for at, native in enumerate(told[3:]):
        found += [native, UNKNOWN, *(UNKNOWN if (word := column[at]) is None else word for column in units)]
    return found


def _parent(question: Question) -> int:
    return max(question.number - 1, 0)


def _heights(question: Question) -> list[int]:
    return sorted({question.number, _parent(question), *question.heights})


def _padded(address: str) -> str:
    assert len(address) == 42
    return address[2:].lower().rjust(64, "0")


def _encode(calls: Sequence[tuple[str, str]]) -> str:
    """(address target, bool allowFailure, bytes callData)[], by the contract ABI."""
    offsets, tuples, at = "", "", 32 * len(calls)
    for target, data in calls:
        offsets += f"{at:064x}"
        size = len(data) // 2
        one = f"{_padded(target)}{1:064x}{96:064x}{size:064x}{data.ljust(-(-size // 32) * 64, '0')}"
        tuples += one
        at += len(one) // 2
    return f"{32:064x}{len(calls):064x}{offsets}{tuples}"


def _decode(content: bytes) -> list[int | None]:
    """The first word of each of (bool success, bytes returnData)[]; None where there was no success, or no word."""

    def word(at: int) -> int:
        if at + 32 > len(content):
            raise ValueError("cut off")
        return int.from_bytes(content[at : at + 32], "big")

    start = word(0) + 32
    answers: list[int | None] = []
    for index in range(word(start - 32)):
        at = start + word(start + 32 * index)
        has_succeeded, data = word(at), at + word(at + 32)
        is_told = has_succeeded == 1 and word(data) >= 32
        answers.append(word(data + 32) if is_told else None)
    return answers
