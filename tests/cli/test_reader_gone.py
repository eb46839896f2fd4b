"""Commands whose reader goes away, as in `paynode trigger | head -1`, end as Unix tools do: without a word."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.cli.commands import make_sim_node, process_environ

from paynode.cli import main

SECONDS_MAX = 180  # takes a few on a quiet machine


def without_a_reader(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        return subprocess.run(
            [sys.executable, "-m", "paynode", *arguments],
            cwd=folder,
            env=process_environ({"TMPDIR": str(folder)}),
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    finally:
        os.close(write_end)


@pytest.mark.parametrize("arguments", [["--help"], ["trigger"], ["demo", "--auto"], ["demo"]], ids=" ".join)
def test_a_command_that_nobody_reads_says_nothing_and_leaves_nothing(arguments: list[str], tmp_path: Path) -> None:
    done = without_a_reader(arguments, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["status"], ["check", "--json"]], ids=" ".join)
def test_so_does_one_that_tells_problems_in_sentences(arguments: list[str], tmp_path: Path) -> None:
    make_sim_node(tmp_path)
    done = without_a_reader(arguments, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_broken_pipe_elsewhere_stays_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: a service that breaks is never silent. Method: one does, while somebody reads what is printed."""

    def broken(**_: object) -> None:
        raise ExceptionGroup("a nursery", [BrokenPipeError()])

    monkeypatch.setattr("paynode.cli.trigger.trigger.callback", broken)
    with pytest.raises(ExceptionGroup):
        main(["trigger"], standalone_mode=False)
