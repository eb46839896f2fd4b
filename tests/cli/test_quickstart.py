"""The programs of docs/quickstart.md, run as they stand there against a demo."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.commands import process_environ
from tests.cli.test_demo import Player, playing

PAGE = (Path(__file__).parents[2] / "src" / "paynode" / "docs" / "quickstart.md").read_text()
SECONDS_MAX = 180  # takes a few on a quiet machine


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    with playing(tmp_path_factory.mktemp("demo")) as player:
        yield player


def program(language: str) -> str:
    """All the page's code in that language, in its order."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("language", "command", "order_id"),
    [
        ("sh", ["sh", "-eu", "-c"], "2001"),
        ("python", [sys.executable, "-c"], "2002"),
        ("js", ["node", "--input-type=module", "--eval"], "2003"),
    ],
)
def test_a_program_of_the_quick_start_ends_with_a_paid_invoice(
    player: Player, language: str, command: list[str], order_id: str
) -> None:
    environ = {
        "PAYNODE_URL": str(player.client.base_url).rstrip("/"),
        "PAYNODE_KEY": player.client.headers["Authorization"].removeprefix("Bearer "),
    }
    done = subprocess.run(
        [*command, program(language)],
        env=process_environ(environ),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (invoice,) = player.client.get("/v1/invoices", params={"order_id": order_id}).json()["data"]
    assert done.stdout.splitlines()[-1].endswith(f"{invoice['id']} is paid")
    assert invoice["status"] == "paid"


def test_every_program_makes_the_same_order_and_says_so_at_its_end() -> None:
    for language in ("sh", "python", "js", "php"):
        code = program(language)
        for part in ("12.50", "sim_usdt", "Idempotency-Key", "/v1/test/invoices/", "is paid"):
            assert part in code, (language, part)
