"""The deposit machine: how far one transfer to one of our addresses has come.

    detected -> confirming -> confirmed -> settled         any -> orphaned

A stage is judged from the row on chain, never set by hand. An orphaned deposit stays orphaned: the same
payment in another block is a new deposit that names the one it replaces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    DETECTED = "detected"  # in a block, nothing on top of it yet
    CONFIRMING = "confirming"  # deeper, not deep enough
    CONFIRMED = "confirmed"  # deep enough and read again there; kept back by screening
    SETTLED = "settled"  # confirmed: it counts towards paid, and may be swept
    ORPHANED = "orphaned"  # its block left the chain


NEXT: Mapping[Stage, frozenset[Stage]] = {
    Stage.DETECTED: frozenset({Stage.CONFIRMING, Stage.CONFIRMED, Stage.SETTLED, Stage.ORPHANED}),
    Stage.CONFIRMING: frozenset({Stage.DETECTED, Stage.CONFIRMED, Stage.SETTLED, Stage.ORPHANED}),
    Stage.CONFIRMED: frozenset({Stage.SETTLED, Stage.ORPHANED}),
    Stage.SETTLED: frozenset({Stage.ORPHANED}),
    Stage.ORPHANED: frozenset(),
}

FINAL = frozenset({Stage.CONFIRMED, Stage.SETTLED})  # nothing but a deep reorganisation takes it back


@dataclass(frozen=True, slots=True)
class Facts:
    """What a stage is judged from."""

    is_void: bool
    is_verified: bool  # at the required depth, and read again there
    confirmations: int
    is_held: bool = False  # by screening


def judge(facts: Facts) -> Stage:
    if facts.is_void:
        return Stage.ORPHANED
    if facts.is_verified:
        return Stage.CONFIRMED if facts.is_held else Stage.SETTLED
    return Stage.CONFIRMING if facts.confirmations > 1 else Stage.DETECTED
