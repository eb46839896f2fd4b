"""A request under an idempotency key is done once, however often it is sent (I20)."""

from datetime import timedelta

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.errors import Conflict, Invalid
from paynode.operations import once as operations
from paynode.operations.once import Answer, Request
from paynode.store import idempotency
from paynode.store.database import Tx

REQUEST = Request("sto_1", "order-1001", b"hash of it")


class Act:
    """Something that counts how often it was done."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, tx: Tx) -> Answer:
        self.count += 1
        return Answer(201, b"made %d" % self.count)


def once(node: SimNode, request: Request | None, act: Act) -> Answer:
    return node.database.write(operations.once, request, node.clock(), act)


async def test_the_same_request_gets_the_same_answer(node: SimNode) -> None:
    act = Act()
    first, again = once(node, REQUEST, act), once(node, REQUEST, act)
    assert (first, again) == (Answer(201, b"made 1"), Answer(201, b"made 1", is_replayed=True))
    assert act.count == 1


async def test_without_a_key_every_request_is_done(node: SimNode) -> None:
    act = Act()
    assert [once(node, None, act).body for _ in range(2)] == [b"made 1", b"made 2"]


async def test_a_key_used_for_another_request_is_refused(node: SimNode) -> None:
    act = Act()
    once(node, REQUEST, act)
    with pytest.raises(Invalid, match="used for another request"):
        once(node, Request(REQUEST.owner, REQUEST.key, b"another"), act)
    assert act.count == 1


async def test_a_key_belongs_to_its_owner(node: SimNode) -> None:
    act = Act()
    once(node, REQUEST, act)
    assert once(node, Request("sto_2", REQUEST.key, REQUEST.hash), act).body == b"made 2"


async def test_a_refused_request_may_be_sent_again(node: SimNode) -> None:
    def refuse(tx: Tx) -> Answer:
        raise Conflict("invoice_paid", "This invoice is paid.")

    with pytest.raises(Conflict):
        node.database.write(operations.once, REQUEST, node.clock(), refuse)
    assert once(node, REQUEST, Act()).body == b"made 1"


async def test_a_secret_is_shown_once_and_not_kept(node: SimNode) -> None:
    def act(tx: Tx) -> Answer:
        return Answer(201, b"with secret", kept_body=b"without")

    bodies = [node.database.write(operations.once, REQUEST, node.clock(), act).body for _ in range(2)]
    assert bodies == [b"with secret", b"without"]


@pytest.mark.parametrize(("hours", "body"), [(24, b"made 1"), (49, b"made 2")])
async def test_an_answer_is_kept_for_as_long_as_promised_and_no_longer(node: SimNode, hours: int, body: bytes) -> None:
    act = Act()
    once(node, REQUEST, act)
    node.clock.advance(timedelta(hours=hours))
    node.database.write(idempotency.forget_old, node.clock())
    assert once(node, REQUEST, act).body == body
