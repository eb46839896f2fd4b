"""What `--help` shows is whole on a terminal of 80 columns."""

import pytest
from click.testing import CliRunner

from paynode.cli import main


@pytest.mark.parametrize("group", [[], ["keys"]])
def test_each_command_has_a_line_that_is_not_cut_off(group: list[str]) -> None:
    shown = CliRunner().invoke(main, [*group, "--help"], terminal_width=80).output
    _, heading, commands = shown.partition("\nCommands:\n")
    assert heading
    assert not any(line.endswith("...") for line in commands.splitlines())
