"""What may have happened to an invoice before it is asked about: what its payer did, what blocks and time did."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.hosted_apis.node import Answer, Caller, WholeNode
from tests.hosted_apis.rows import Ask, filled

SHOP_URL = "https://shop.example/paid?order=7"


@dataclass(frozen=True)
class Step:
    """Something that happens to an invoice; `said` is what it sends to the node, if anything."""

    run: Callable[[WholeNode, Answer], Awaitable[None]]
    said: str = ""


def invoice(*steps: Step, **fields: object) -> Ask:
    """An invoice with its address, unless told otherwise, and what happened to it."""
    body = {"amount": "20", "currency": "USD", "methods": ["polygon_usdt"], "provision": True, **fields}

    async def run(node: WholeNode) -> Answer:
        made = await node.call(Caller.MERCHANT, "POST", "/v1/invoices", body)
        assert made["http"] == 201, made
        for step in steps:
            await step.run(node, made)
        return made

    return Ask(" ".join([f"POST /v1/invoices {body}", *(step.said for step in steps)]), run)


def both(first: Ask, second: Ask) -> Ask:
    """One after the other; what is known then is of the first, and `{other}` the id of the second."""

    async def run(node: WholeNode) -> Answer:
        known = await first(node)
        return {**known, "other": (await second(node))["id"]}

    return Ask(f"{first.said} {second.said}", run)


def sent(amount: str, sender: str | None = None) -> Step:
    """A payment that waits for a block; its hash is `{tx_hash}`."""

    async def run(node: WholeNode, made: Answer) -> None:
        made["tx_hash"] = node.pay(made, amount, sender)

    return Step(run)


def seen(amount: str, sender: str | None = None) -> Step:
    """A payment in the newest block."""
    return all_of(sent(amount, sender), mined(1))


def final(amount: str, sender: str | None = None) -> Step:
    """A payment as deep as it must be."""
    return all_of(sent(amount, sender), mined(3))


def mined(count: int) -> Step:
    async def run(node: WholeNode, made: Answer) -> None:
        await node.mine(count)

    return Step(run)


def all_of(*steps: Step) -> Step:
    async def run(node: WholeNode, made: Answer) -> None:
        for step in steps:
            await step.run(node, made)

    return Step(run)


def passed(span: timedelta) -> Step:
    async def run(node: WholeNode, made: Answer) -> None:
        await node.pass_time(span)

    return Step(run)


def asked(method: str, path: str, body: object = None, *, by: Caller = Caller.MERCHANT) -> Step:
    """Something is asked of the node; `{id}` is the invoice's."""

    async def run(node: WholeNode, made: Answer) -> None:
        answer = await node.call(by, method, filled(path, made), filled(body, made))
        assert answer["http"] < 300, answer

    return Step(run, f"{method} {path} {body}")


def answered(*statuses: int) -> Step:
    """The shop answers what is posted to it so, a minute apart."""

    async def run(node: WholeNode, made: Answer) -> None:
        for status in statuses:
            node.answer_hooks(status)
            node.node.clock.advance(timedelta(minutes=1))

    return Step(run)


def told(of: str, after: Ask) -> Ask:
    """What is posted to the shop of such an event: its headers, its body, and the `raw` text of that."""

    async def run(node: WholeNode) -> Answer:
        await after(node)
        (hook,) = (hook for hook in node.answer_hooks(200) if hook["body"]["type"] == of)
        return hook

    return Ask(after.said, run)


async def _turns(node: WholeNode, made: Answer) -> None:
    await node.node.turn(8)


async def _taken_back(node: WholeNode, made: Answer) -> None:
    node.node.worlds["polygon"].reorg(3, keep=False)
    await node.mine()


EXPIRED = passed(timedelta(hours=1))
ORDERED = asked("POST", "/v1/sweeps", {"invoices": ["{id}"]})
COLLECTED = all_of(ORDERED, Step(_turns))
TAKEN_BACK = Step(_taken_back)  # the chain drops the newest blocks, and what was in them
CANCELLED = asked("POST", "/v1/invoices/{id}/cancel")
ARCHIVED = asked("POST", "/v1/invoices/{id}/archive")
