"""What events say comes out of the database as it went in, and is small in it."""

import hashlib
import zlib
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.simnode import SimNode

from paynode.store import outbox
from paynode.store.packing import packed, unpacked

DICTIONARIES = {"events_1.txt": "ee630d8ad2f71f7ba0ad581685034b926b89aaa246c9aaa46b9d6e03f42e6315"}


@given(st.binary())
def test_what_is_packed_comes_out_as_it_was(body: bytes) -> None:
    assert unpacked(packed(body)) == body


@given(st.dictionaries(st.text(), st.text()).map(lambda words: str(words).encode()))
def test_what_was_kept_as_it_is_is_read_as_it_is(body: bytes) -> None:
    assert unpacked(body) == body


def test_no_dictionary_ever_changes_since_bodies_are_packed_with_it() -> None:
    found = {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in (resources.files("paynode.store") / "dictionaries").iterdir()
        if entry.name.endswith(".txt")
    }
    assert found == DICTIONARIES


def test_a_damaged_body_is_not_taken_for_another() -> None:
    kept = bytearray(packed(b'{"amount":"10"}'))
    kept[-1] ^= 1
    with pytest.raises(zlib.error):
        unpacked(bytes(kept))


async def test_the_events_of_an_invoice_take_a_fourth_of_what_they_say(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.turn()
    invoice_id = node.create("10", name="Espresso machine", order_id="WC-1001", metadata={"cart": "7c1f"})
    node.pay(invoice_id, 10_000_000)
    await node.turn(4)
    kept = node.rows("select id, payload from events where subject = ?", (invoice_id,))
    assert len(kept) == len(node.events(invoice_id)) >= 4
    said = 0
    for event_id, payload in kept:
        event = node.database.read(outbox.event, event_id)
        assert event is not None
        assert event.payload.startswith(b'{"id":"' + event_id.encode())
        assert unpacked(payload) == event.payload
        said += len(event.payload)
    assert sum(len(payload) for _, payload in kept) < said / 4
