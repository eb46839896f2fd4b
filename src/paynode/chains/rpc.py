"""The providers of one network, as one: failover, and what they have in common."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from paynode.chains.base import Unavailable
from paynode.chains.identity import Identity
from paynode.chains.meter import Meter, utc_now
from paynode.chains.provider import Provider, RpcUrl
from paynode.domain.budget import Budget, Usage

ANSWER_BYTES_MAX = 32 * 2**20
UNLIMITED = Budget()
NOTHING: Mapping[str, Usage] = {}


class NoProvider(Unavailable):
    """Every provider rests; `reason_by_name` says why."""

    def __init__(self, reason_by_name: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reason_by_name.items()))
        self.reason_by_name = reason_by_name


class RpcPool:
    """The providers of one network, in the order of the config; close it when done."""

    def __init__(
        self,
        urls: Sequence[RpcUrl],
        *,
        chain_id: int,
        deadline_seconds: float = 10.0,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        budget: Budget = UNLIMITED,
        clock: Callable[[], datetime] = utc_now,
        counted: Mapping[str, Usage] = NOTHING,
    ) -> None:
        """`budget` is what each provider may be asked, `counted` what it was asked; `clock` tells what day it is."""
        self.identity = Identity(chain_id)
        self.clock = clock
        self.all = tuple(
            Provider(
                url,
                identity=self.identity,
                meter=Meter(budget, clock, counted=counted.get(url.name)),
                deadline_seconds=deadline_seconds,
                answer_bytes_max=answer_bytes_max,
            )
            for url in urls
        )

    def providers(self) -> tuple[Provider, ...]:
        """Those to ask, in order, but those with calls left today first; who fails at one asks the next.

        Those that do not rest. If all do, those that have rested for a moment: without another, trying is better
        than waiting.
        """
        awake = [provider for provider in self.all if not provider.is_resting]
        asked = awake or [provider for provider in self.all if not provider.is_barred]
        return tuple(sorted(asked, key=lambda provider: provider.meter.is_spent))

    @property
    def first(self) -> Provider:
        """The first of `providers`.

        Raises:
            NoProvider: all rest.
        """
        if asked := self.providers():
            return asked[0]
        raise NoProvider({provider.name: provider.reason for provider in self.all})

    async def aclose(self) -> None:
        for provider in self.all:
            await provider.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
