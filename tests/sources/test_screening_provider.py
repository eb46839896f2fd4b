"""A screening provider on loopback: its two documented forms are believed, and nothing else lets anybody pass."""

import json
from collections.abc import Mapping

import pytest
import trio
from tests.sources.exchange import Exchange, Query, Reply, exchange, said

from paynode.config import ScreeningProvider, Secret
from paynode.domain.screening import Verdict
from paynode.sources.http import BODY_BYTES_MAX, SourceFailed
from paynode.sources.screening.oracle import Oracle
from paynode.sources.screening.provider import Provider, opened

ONE, TWO = "0x7F367cC41522cE07553e823bf3be79A889DEbe1B", "0x1da5821544e25c636c1417ba96ade4cf6d2f9b5a"
SANCTIONED = {"category": "sanctions", "name": "SANCTIONS: OFAC SDN 2022", "description": "...", "url": "..."}


def provider(server: Exchange, headers: Mapping[str, Secret] | None = None) -> Provider:
    url = Secret(f"{server.url}/v1/{{network}}/{{address}}")
    return opened(ScreeningProvider("aml.example.com", url, headers or {}))


async def asked(reply: Reply) -> Verdict | None:
    """What the provider is understood to say; None: nothing."""
    async with exchange(lambda path, query: reply) as server:
        source = provider(server, {"X-Api-Key": Secret("hush")})
        try:
            return (await source.screen("eth", [ONE])).verdict
        except SourceFailed:
            return None
        finally:
            await source.aclose()


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"verdict": "passed"}, Verdict.PASSED),
        ({"verdict": "flagged", "reason": "a mixer"}, Verdict.FLAGGED),
        ({"identifications": []}, Verdict.PASSED),
        ({"identifications": [SANCTIONED]}, Verdict.FLAGGED),
    ],
)
async def test_both_forms_are_understood(body: object, verdict: Verdict) -> None:
    assert await asked(said(body)) is verdict


@pytest.mark.parametrize(
    "reply",
    [
        said({}),
        said({"verdict": "unknown"}),
        said({"verdict": None}),
        said({"verdict": "passed", "identifications": []}),
        said([]),
        said("passed"),
        Reply(b"", status=204),
        Reply(b'{"verdict": "passed"}', status=404),
        Reply(b'{"verdict": "passed"}', status=302, headers={"location": "/"}),
        Reply(b'{"verdict": "passed"'),
        Reply(b'{"verdict": "passed"}', claimed=100),
        Reply(json.dumps({"verdict": "passed", "pad": "x" * BODY_BYTES_MAX}).encode()),
    ],
)
async def test_anything_else_is_no_answer(reply: Reply) -> None:
    assert await asked(reply) is None


async def test_every_sender_is_asked_about_until_one_is_flagged() -> None:
    def script(path: str, query: Query) -> Reply:
        return said({"verdict": "flagged" if path.endswith(TWO) else "passed"})

    async with exchange(script) as server:
        source = provider(server)
        finding = await source.screen("eth", [ONE, TWO])
        assert [path for path, _ in server.asked] == [f"/v1/eth/{ONE}", f"/v1/eth/{TWO}"]
        await source.aclose()
    assert (finding.verdict, finding.source) == (Verdict.FLAGGED, "aml.example.com")
    assert finding.reason == f"{TWO}: it is flagged, without a reason"


async def test_an_oracle_is_asked_about_every_sender() -> None:
    async def is_sanctioned(address: str) -> bool:
        await trio.lowlevel.checkpoint()
        return address == TWO

    oracle = Oracle(is_sanctioned)
    assert (await oracle.screen("eth", [ONE])).verdict is Verdict.PASSED
    found = await oracle.screen("eth", [ONE, TWO])
    assert (found.verdict, found.reason) == (Verdict.FLAGGED, f"{TWO} is sanctioned, says the oracle on eth")
