"""A service that is asked about addresses over HTTP, one at a time.

    GET https://aml.example.com/v1/{network}/{address}
        {"verdict": "passed"}      {"verdict": "flagged", "reason": "a mixer"}
        {"identifications": []}    {"identifications": [{"category": "sanctions", "name": "..."}]}

The second form is that of Chainalysis' sanctions API. Whatever else it answers is no answer, and nobody passed.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from paynode.config import ScreeningProvider
from paynode.domain.screening import Finding, Verdict
from paynode.sources.http import HttpClient, SourceFailed

REASON_LENGTH_MAX = 300


class _Identification(msgspec.Struct):
    category: str
    name: str | None = None


class _Said(msgspec.Struct):
    verdict: Literal["passed", "flagged"] | None = None
    reason: str | None = None
    identifications: list[_Identification] | None = None


class Provider:
    def __init__(self, configured: ScreeningProvider, client: HttpClient) -> None:
        self.name = configured.name
        self._url = configured.url.reveal()
        self._client = client

    async def screen(self, network: str, addresses: Sequence[str]) -> Finding:
        for address in addresses:
            url = self._url.replace("{network}", network).replace("{address}", address)
            said = (await self._client.get(url)).decoded(_Said)
            if (said.verdict is None) is (said.identifications is None):
                raise SourceFailed("an answer in no format it documents")
            if said.verdict == "flagged" or said.identifications:
                reason = said.reason or _named(said.identifications or ())
                return Finding(Verdict.FLAGGED, self.name, f"{address}: {reason}"[:REASON_LENGTH_MAX])
        return Finding(Verdict.PASSED, self.name)

    async def aclose(self) -> None:
        await self._client.aclose()


def _named(identifications: Sequence[_Identification]) -> str:
    return "; ".join(each.name or each.category for each in identifications) or "it is flagged, without a reason"


def opened(configured: ScreeningProvider) -> Provider:
    """The provider of a config; whoever opens it closes it."""
    headers = {name: value.reveal() for name, value in configured.headers.items()}
    return Provider(configured, HttpClient(headers=headers))
