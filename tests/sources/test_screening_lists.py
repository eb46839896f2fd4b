"""Files of addresses: what is read from each format, and what is refused because it may be a part of a file."""

import os
from pathlib import Path

import pytest

from paynode.sources.screening.lists import Broken, parsed, read, stamp

ONE, TWO = "0x7F367cC41522cE07553e823bf3be79A889DEbe1B", "0x1da5821544e25c636c1417ba96ade4cf6d2f9b5a"
BITCOIN = "12QtD5BFwRsdNsAZY76UVE1xyCGNTojH9h"
BOTH = frozenset({ONE, TWO})


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", f"# published\n{ONE}\n\n  {TWO}  # a mixer\n"),
        ("", f"\ufeff{ONE} Lazarus\r\n{TWO}"),
        (".json", f'["{ONE}", "{TWO}"]'),
        (".json", f'[{{"address": "{ONE}", "asset": "ETH"}}, {{"address": "{TWO}"}}]'),
        (".csv", f'name,Address,list\n"Doe, J.",{ONE},SDN\nRoe,{TWO},SDN\n'),
    ],
    ids=["text", "text with a mark and other ends of lines", "json texts", "json objects", "csv"],
)
def test_each_format_is_read(suffix: str, text: str) -> None:
    assert parsed(text.encode(), suffix) == BOTH


def test_addresses_of_chains_that_nobody_follows_here_are_welcome() -> None:
    assert parsed(f"{BITCOIN}\n{ONE}\n".encode(), ".txt") == {BITCOIN, ONE}


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        (".txt", b"", "no address"),
        (".txt", b"# only words\n", "no address"),
        (".txt", f"{ONE}\n{TWO[:-3]}".encode(), "entry 2"),
        (".txt", b"<!doctype html><html><title>404 Not Found</title>", "entry 1"),
        (".txt", b"\xff\xfe0\x00x\x00", "UTF-8"),
        (".json", f'["{ONE}", "0x1da58215'.encode(), "JSON"),
        (".json", b'{"error": "not found"}', "JSON"),
        (".json", b"[" * 100_000, "JSON"),
        (".json", b"[]", "no address"),
        (".csv", f"name,address\nRoe,{ONE}\nDoe".encode(), "another length"),
        (".csv", f"{ONE}\n".encode(), "no column"),
        (".csv", b"", "CSV"),
        (".csv", f'name,address\n"Roe,{ONE}'.encode(), "CSV"),
    ],
)
def test_what_is_not_whole_is_refused_whole(suffix: str, content: bytes, reason: str) -> None:
    with pytest.raises(Broken, match=reason):
        parsed(content, suffix)


def test_a_file_tells_its_time_and_content(tmp_path: Path) -> None:
    path = tmp_path / "deny.txt"
    path.write_text(f"{ONE}\n")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    found = read(path)
    assert (found.addresses, len(found.hash)) == ({ONE}, 32)
    assert found.as_of == stamp(path).modified_at
    assert found.as_of.isoformat() == "2023-11-14T22:13:20.123000+00:00"
    with pytest.raises(Broken, match="No such file"):
        read(tmp_path / "gone.txt")
