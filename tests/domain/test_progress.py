"""Which loops make progress, on a clock that the test moves."""

import pytest

from paynode.domain.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_is_late_only_after_its_own_patience() -> None:
    clock = Clock()
    progress = Progress(clock)
    beat = progress.beater("sender:eth", 10)
    progress.beater("scanner:eth", 300)
    clock.now += 10
    assert progress.late() == ()
    clock.now += 1
    assert progress.late() == ("sender:eth",)
    beat()
    assert progress.late() == ()
    clock.now += 300
    assert progress.late() == ("sender:eth", "scanner:eth")


def test_the_report_says_of_each_loop_how_long_it_has_been_silent() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.beater("sender:eth", 10)
    progress.beater("scanner:eth", 300)
    clock.now += 42
    assert progress.report() == {"sender:eth": "no progress for 42 s", "scanner:eth": "ok"}


def test_a_loop_that_never_beats_is_late_too() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.beater("rates", 5)
    clock.now += 6
    assert progress.late() == ("rates",)


def test_a_beat_of_a_loop_that_nobody_named_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        Progress(Clock()).beat("ghost")
