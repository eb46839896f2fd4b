"""The AddressSource Protocol: all that the node needs of somebody who is asked about addresses."""

from collections.abc import Sequence
from typing import Protocol

from paynode.domain.screening import Finding


class AddressSource(Protocol):
    @property
    def name(self) -> str: ...

    async def screen(self, network: str, addresses: Sequence[str]) -> Finding:
        """Whether something is known against one of the addresses: flagged, or passed.

        Raises:
            SourceFailed, or what its network raises: it did not say for certain, so nobody passed.
        """
        ...

    async def aclose(self) -> None: ...
