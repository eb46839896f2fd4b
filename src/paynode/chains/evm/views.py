"""The providers of one tick: the one whose view it is, and the one that gives the other opinion."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from paynode.chains.evm.reads import Reads
from paynode.chains.jsonrpc import ProviderFailed


@dataclass(frozen=True, slots=True)
class Views:
    primary: Reads
    second: Reads | None  # None: there is no other that answers now
    is_alone: bool  # there is no other in the config

    @property
    def sources(self) -> list[Reads]:
        return [self.primary] if self.second is None else [self.primary, self.second]

    @property
    def witness(self) -> Reads:
        """Who is asked at depth: the other one. While it is away, ours may vouch for itself."""
        return self.second or self.primary

    @contextmanager
    def sparing_the_second(self) -> Iterator[None]:
        """Leave undone what the second one fails at; if the first one fails, the tick never was."""
        try:
            yield
        except ProviderFailed as failure:
            if failure.provider == self.primary.name:
                raise
