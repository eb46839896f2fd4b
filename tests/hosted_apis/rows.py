"""What the tables of the three hosted APIs are made of: a word of theirs, the native request for it, what is observed.

A request may follow another, whose answer fills the `{names}` in it: `get("/v1/invoices/{id}", after=invoice())`.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.hosted_apis.node import Answer, Caller, WholeNode

_STEP = re.compile(r"[^.\[\]]+|\[\d*\]")


@dataclass(frozen=True)
class Ask:
    """Something that is asked of a node; `said` is what is sent, whatever it depends on included."""

    said: str
    run: Callable[[WholeNode], Awaitable[Answer]]

    async def __call__(self, node: WholeNode) -> Answer:
        return await self.run(node)


@dataclass(frozen=True)
class Row:
    """`word` is theirs, perhaps with a case behind a colon; `ask` says it here, and then `shows` is so.

    That is, by the path of a field, its value or what holds of it.
    """

    word: str
    ask: Ask
    shows: Mapping[str, object]

    @property
    def evidence(self) -> str:
        """All that is sent and seen."""
        seen = [f"{path} {'' if callable(value) else json.dumps(value)}" for path, value in self.shows.items()]
        return " ".join([self.ask.said, *seen])


@dataclass(frozen=True)
class NotYet:
    """What this product does not serve; `ask` will say it, and there is no such route until then."""

    word: str
    waits_for: str
    ask: Ask


def check(row: Row, answer: Answer) -> None:
    """The answer is what the row says; `{names}` in that are what was known before."""
    for path, wanted in row.shows.items():
        found, expected = pick(answer, path), filled(wanted, answer.get("known", {}))
        if callable(expected):
            assert expected(found), f"{row.word}: {path} is {found!r}"
        else:
            assert found == expected, f"{row.word}: {path} is {found!r}, not {expected!r}"


def pick(answer: object, path: str) -> Any:
    """What stands at `methods[0].amount`; at `deposits[].id`, of each; None where there is nothing."""
    return _walk(answer, _STEP.findall(path))


def _walk(value: Any, steps: list[str]) -> Any:
    if not steps or value is None:
        return value
    step, *rest = steps
    if step == "[]":
        return [_walk(each, rest) for each in value]
    if step.startswith("["):
        return _walk(value[int(step[1:-1])], rest)
    return _walk(value.get(step), rest)


def filled(value: Any, known: Answer) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), value)
    if isinstance(value, Mapping):
        return {name: filled(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, known) for each in value]
    return value


# What is asked.


def request(
    method: str,
    path: str,
    body: object = None,
    query: Mapping[str, str] | None = None,
    *,
    after: Ask | None,
    by: Caller = Caller.MERCHANT,
) -> Ask:
    async def run(node: WholeNode) -> Answer:
        known = {} if after is None else await after(node)
        answer = await node.call(by, method, filled(path, known), filled(body, known), filled(query or {}, known))
        return {**answer, "known": known}

    return Ask(f"{'' if after is None else after.said} {method} {path} {body} {query}", run)


def get(path: str, *, after: Ask | None = None, by: Caller = Caller.MERCHANT, **query: str) -> Ask:
    return request("GET", path, None, query, after=after, by=by)


def post(path: str, body: object = None, *, after: Ask | None = None, by: Caller = Caller.MERCHANT) -> Ask:
    return request("POST", path, body, after=after, by=by)


def delete(path: str, *, after: Ask | None = None) -> Ask:
    return request("DELETE", path, after=after)


def public(path: str, *, after: Ask | None = None) -> Ask:
    return get(path, after=after, by=Caller.PAYER)


def create(**fields: object) -> Ask:
    """An invoice of 20 dollars, unless told otherwise."""
    return post("/v1/invoices", {"amount": "20", "currency": "USD", **fields})


# What may be so, of an answer or of a value.


def refused(pointer: str) -> Mapping[str, object]:
    return {"http": 422, "errors[].pointer": [pointer]}


def is_there(value: object) -> bool:
    return value is not None


def is_address(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"sim1[0-9a-f]{40}", value) is not None


def is_moment(value: object) -> bool:
    """RFC 3339 in UTC."""
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value) is not None


def has(count: int) -> Callable[[Any], bool]:
    return lambda value: len(value) == count


def holds(*words: str) -> Callable[[Any], bool]:
    """A text or list that has all of these in it."""
    return lambda value: all(word in value for word in words)


def lacks(*words: str) -> Callable[[Any], bool]:
    return lambda value: not any(word in value for word in words)


def starts(beginning: str) -> Callable[[Any], bool]:
    return lambda value: value.startswith(beginning)
