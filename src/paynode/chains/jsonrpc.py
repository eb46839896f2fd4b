"""JSON-RPC 2.0 as bytes, and what an answer that is no answer means. Pure.

This is the one place that reads providers' error texts, because the protocol
gives nothing better: caps on log ranges and rate limits come under a dozen
codes. Everybody else looks at the class of the error.

    Unavailable
     └─ ProviderFailed      turn to the next provider
         ├─ Garbled         not an answer to what was asked
         ├─ WrongChain      a good answer from the wrong network
         ├─ RateLimited     come back later
         ├─ TooMuch         ask for less: caps on size, results and gas
         │   ├─ RangeTooWide    ask for fewer blocks
         │   └─ TimedOut
         ├─ BatchRefused    ask for fewer at once, or for one after the other
         ├─ Blocked         a gateway did not let the question through: another form of it may pass
         └─ RpcError        the question was understood and refused: reverted, invalid, unknown block
             └─ MethodMissing

https://www.jsonrpc.org/specification
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from paynode.chains.base import Unavailable

T = TypeVar("T")
MESSAGE_LENGTH_MAX = 300

# Their own words, collected from public providers and node software.
RATE_WORDS = re.compile(
    r"rate.?limit|too many requests|per second|/sec|compute units|capacity|quota|daily|request (limit|count)|throttl",
    re.IGNORECASE,
)
WIDTH_WORDS = re.compile(
    r"range|results|too large|size exceed|limit exceeded|logs matched|timeout|timed out|too many (logs|blocks|topics)",
    re.IGNORECASE,
)
RANGE_WORDS = re.compile(r"range|too many blocks", re.IGNORECASE)
RESULT_WORDS = re.compile(r"results|response size|size exceed|logs matched|too many logs", re.IGNORECASE)
BLOCKS_MAX = re.compile(  # "up to a 10 block range", "limited to a 5 range", "exceed maximum block range: 5000"
    r"\b([0-9][0-9,]*)(k?)[ -]?(?:blocks?\b|range)|range[^0-9]{0,12}\b([0-9][0-9,]*)(k?)\b", re.IGNORECASE
)
BATCH_WORDS = re.compile(r"\bbatch", re.IGNORECASE)
GAS_WORDS = re.compile(r"out ?of ?gas|gas (required|limit|cap|allowance)|execution (timeout|aborted)", re.IGNORECASE)
MISSING_WORDS = re.compile(
    r"method\b.*\b(not (found|supported|available|allowed|exist)|does not exist|unavailable)|unsupported method",
    re.IGNORECASE,
)


class ProviderFailed(Unavailable):
    """`provider` (its name, never its URL) gave no usable answer. `reason` holds no secret."""

    is_fault: ClassVar[bool] = True  # whether it speaks against the provider's health

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"{provider}: {reason}")
        self.provider = provider
        self.reason = reason


class Garbled(ProviderFailed):
    """An answer that is not JSON-RPC, is cut off, belongs to another question, or has the wrong shape."""


class WrongChain(ProviderFailed):
    """The provider serves another network."""


class RateLimited(ProviderFailed):
    """`retry_after_seconds` is the provider's own wish, None if it told none."""

    def __init__(self, provider: str, reason: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(provider, reason)
        self.retry_after_seconds = retry_after_seconds


class TooMuch(ProviderFailed):
    """More was asked than the provider gives, or more came than we take: a smaller question may do."""

    is_fault = False


class RangeTooWide(TooMuch):
    """The provider does not read so many blocks at once; `blocks_max` is what it said it would, None if it did not."""

    def __init__(self, provider: str, reason: str, blocks_max: int | None = None) -> None:
        super().__init__(provider, reason)
        self.blocks_max = blocks_max


class TimedOut(TooMuch):
    """No complete answer within the deadline."""

    is_fault = True


class BatchRefused(ProviderFailed):
    """The provider takes no batches, or only shorter ones."""

    is_fault = False


class Blocked(ProviderFailed):
    """The question was turned away before a node could answer it: by its size, or by words that a filter dislikes."""


class RpcError(ProviderFailed):
    """The provider understood and answered with an error."""

    is_fault = False

    def __init__(self, provider: str, code: int, message: str, data: object = None) -> None:
        super().__init__(provider, f"error {code}: {message}")
        self.code = code
        self.message = message
        self.data = data


class MethodMissing(RpcError):
    """The provider does not offer this method."""


class _Answer(msgspec.Struct):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Whole(msgspec.Struct, Generic[T]):
    """An answer as it should be."""

    id: int | str | None
    result: T
    error: None = None


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


def encode_one(id_: int, method: str, params: Sequence[Any]) -> bytes:
    return msgspec.json.encode(_request(id_, method, params))


def encode_many(first_id: int, method: str, many_params: Sequence[Sequence[Any]]) -> bytes:
    """A batch whose ids count up from `first_id`, in the order of `many_params`."""
    return msgspec.json.encode([_request(first_id + at, method, params) for at, params in enumerate(many_params)])


def _request(id_: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def decode_one(provider: str, body: bytes, id_: int, method: str, type_: Any) -> Any:
    """The result in `body`, as `type_`.

    Raises:
        ProviderFailed: one of its kinds, by what came instead.
    """
    with suppress(Garbled):  # what is wrong with it is found out below
        whole = _decode(provider, body, _Whole[type_])  # at once, since it may be megabytes
        if whole.id == id_:
            return whole.result
    return _result(provider, _decode(provider, body, _Answer), id_, method, type_)


def checked(provider: str, value: object, type_: type[T]) -> T:
    """What was decoded as a looser struct, as `type_`.

    Raises:
        Garbled: it has another shape.
    """
    try:
        return msgspec.convert(value, type_, from_attributes=True)
    except msgspec.ValidationError as error:
        raise Garbled(provider, str(error)) from None


def decode_many(provider: str, body: bytes, ids: range, method: str, type_: Any) -> list[Any]:
    """The results of a batch in the order asked, whatever the order answered; the first error is raised."""
    if body.lstrip().startswith(b"{"):
        failure = _failure(provider, _decode(provider, body, _Answer), method)
        raise _refused(provider, method, failure)
    answers: list[_Answer] = _decode(provider, body, list[_Answer])
    answer_by_id = {answer.id: answer for answer in answers}
    if len(answers) != len(ids) or len(answer_by_id) != len(ids) or not all(id_ in answer_by_id for id_ in ids):
        for answer in answers:  # some refuse a batch in one element without an id
            if answer.id is None and (failure := _failure(provider, answer, method)):
                raise _refused(provider, method, failure)
        raise Garbled(provider, f"{method}: the batch's answers are not those to its questions")
    return [_result(provider, answer_by_id[id_], id_, method, type_) for id_ in ids]


def _refused(provider: str, method: str, failure: ProviderFailed | None) -> ProviderFailed:
    """What one answer to a whole batch means. That it was the batch shows when its parts are answered."""
    if failure is None or isinstance(failure, RpcError) or BATCH_WORDS.search(failure.reason):
        return BatchRefused(provider, f"{method}: one answer to a batch" if failure is None else failure.reason)
    return failure


def decode_error(provider: str, body: bytes, method: str) -> ProviderFailed | None:
    """The JSON-RPC error in the body of a failed HTTP exchange, or None if there is none."""
    try:
        return _failure(provider, _decode(provider, body, _Answer), method)
    except Garbled:
        return None


def _result(provider: str, answer: _Answer, id_: int, method: str, type_: Any) -> Any:
    # "If there was an error in detecting the id in the Request object, it MUST be Null."
    failure = _failure(provider, answer, method)
    if failure and answer.id in (id_, None):
        raise failure
    if answer.id != id_:
        raise Garbled(provider, f"{method}: answer to another question")
    if not bytes(answer.result):
        raise Garbled(provider, f"{method}: neither result nor error")
    return _decode(provider, answer.result, type_, f"{method}: ")


def _failure(provider: str, answer: _Answer, method: str) -> ProviderFailed | None:
    if bytes(answer.error) in (b"", b"null"):
        return None
    error: _Error = _decode(provider, answer.error, _Error, f"{method}: ")
    message = error.message[:MESSAGE_LENGTH_MAX]
    if error.code == 429 or RATE_WORDS.search(message):
        return RateLimited(provider, f"{method}: error {error.code}: {message}")
    if method == "eth_getLogs" and RANGE_WORDS.search(message) and not RESULT_WORDS.search(message):
        return RangeTooWide(provider, f"{method}: error {error.code}: {message}", _blocks_max(message))
    if (method == "eth_getLogs" and WIDTH_WORDS.search(message)) or (
        method == "eth_call" and GAS_WORDS.search(message)
    ):
        return TooMuch(provider, f"{method}: error {error.code}: {message}")
    if error.code == -32005:  # "Limit exceeded", EIP-1474
        return RateLimited(provider, f"{method}: error {error.code}: {message}")
    if error.code == -32601 or MISSING_WORDS.search(message):
        return MethodMissing(provider, error.code, message, error.data)
    return RpcError(provider, error.code, message, error.data)


def _blocks_max(message: str) -> int | None:
    """How many blocks the provider says it would read at once."""
    if (told := BLOCKS_MAX.search(message)) is None:
        return None
    digits, thousands = (told[1], told[2]) if told[1] else (told[3], told[4])
    return int(digits.replace(",", "")[:9]) * (1000 if thousands else 1) or None


def _decode(provider: str, body: bytes | msgspec.Raw, type_: Any, prefix: str = "") -> Any:
    try:
        return _decoder(type_).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Garbled(provider, f"{prefix}{error}") from None
    except RecursionError:
        raise Garbled(provider, f"{prefix}nested too deep") from None


@cache
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)
