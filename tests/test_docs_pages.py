"""The pages of the documentation against the code: whatever people can meet is named there, and nothing that is not."""

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from standardwebhooks.webhooks import WebhookVerificationError

from paynode.api import app, simulation
from paynode.api.contract import document
from paynode.api.problem_types import problem_types
from paynode.api.problems import problem
from paynode.cli import COMMANDS
from paynode.cli.exit_codes import MEANING, ExitCode
from paynode.domain import signing
from paynode.domain.delivery import STANDARD
from paynode.domain.durations import format_duration
from paynode.domain.events import EventType
from paynode.domain.invoice import CLOSED
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.domain.sweep import Wait

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "src" / "paynode" / "docs"
README = ROOT / "README.md"
PAGES = sorted(FOLDER.glob("*.md"))
SOURCES_PY = sorted((ROOT / "src").rglob("*.py"))
SOURCES = SOURCES_PY + sorted((ROOT / "src").rglob("*.sql"))
TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in path.parts]

ROUTES = {
    route.name.replace("<", "{").replace(">", "}"): route
    for table in (*app.TABLES, simulation.routes)
    for route in table.all
}


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def code_words(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def first_cells(text: str) -> set[str]:
    """The code words in the first column of every table."""
    return {word for line in text.splitlines() if line.startswith("| `") for word in code_words(line.split(" | ")[0])}


def anchors(text: str) -> set[str]:
    """The anchors that headings get on the usual sites."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_event_is_explained_to_receivers_and_no_other() -> None:
    assert first_cells(page("webhooks")) == set(EventType)


def test_every_scope_is_explained() -> None:
    assert {word for word in first_cells(page("api")) if ":" in word} == STORE_SCOPES | NODE_SCOPES


def test_every_route_is_listed_with_its_scope_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /[^`]+)` \| `?([a-z_:]+)`? \|", page("api"), re.MULTILINE)
    assert dict(rows) == {name: route.scope or "public" for name, route in ROUTES.items()}
    assert len(rows) == len(ROUTES)


def literals(node: ast.expr) -> list[str]:
    """The texts that an expression may be: its constants, and `invoice_{status}` with each status."""
    if isinstance(node, ast.JoinedStr):
        assert ast.unparse(node) == "f'invoice_{status}'", "a code is to be written out"
        return [f"invoice_{status}" for status in CLOSED]
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def raised_codes(arguments: Mapping[str, int], paths: Sequence[Path] = SOURCES_PY) -> set[str]:
    """What the source passes as a code to these calls, each with the place of that argument."""
    calls = [node for path in paths for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.Call]
    return {
        code
        for call in calls
        if (place := arguments.get(ast.unparse(call.func))) is not None and place < len(call.args)
        for code in literals(call.args[place])
    }


def test_every_problem_has_its_cause_and_remedy_and_no_other_is_explained() -> None:
    raised = raised_codes({"Conflict": 0, "Refusal": 1, "refused": 1})
    raised |= raised_codes({"super().__init__": 0}, [ROOT / "src/paynode/domain/errors.py"])
    assert {
        "nothing_final",
        "unauthorized",
        "internal_error",
        "not_found",
        "invoice_paid",
        "validation_failed",
    } <= raised
    answered = {code for code, _ in app.HTTP_PROBLEMS.values()}
    assert raised | answered == set(problem_types())


def test_every_code_of_a_field_is_explained_and_no_other() -> None:
    raised = raised_codes({"FieldProblem": 1, "Invalid.field": 1, "Unreadable": 0})
    assert {"required", "not_positive", "unknown_value"} <= raised
    assert raised == first_cells(page("errors"))


def test_a_problem_says_what_it_is_called_in_the_documentation() -> None:
    body = json.loads(problem(409, "invoice_paid", "x", instance="/", request_id="req_1"))
    assert (body["type"], body["title"]) == ("/docs/errors/invoice_paid", "The invoice is paid")


def test_the_contract_is_a_valid_openapi_document() -> None:
    written = msgspec.json.encode(document(ROUTES.values(), version="1", url="https://pay.example.com"))
    OpenAPIV31SpecValidator(json.loads(written)).validate()


def test_every_exit_code_is_explained_in_the_same_words() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page("operations"), re.MULTILINE)
    assert {ExitCode(int(code)): meaning for code, meaning in rows} == MEANING


def test_every_command_is_explained() -> None:
    assert {f"paynode {name}" for name in COMMANDS} == {
        word for word in first_cells(page("operations")) if word.startswith("paynode ")
    }


def test_every_reason_to_wait_is_explained() -> None:
    assert set(Wait) - first_cells(page("operations")) == set()


def test_every_promise_is_there_once_and_every_cited_one_is_a_promise() -> None:
    promised = re.findall(r"^- \*\*I(\d+) ", page("promises"), re.MULTILINE)
    assert promised == [str(number) for number in range(1, 33)]
    cited = {number for path in [*SOURCES, *TESTS] for number in re.findall(r"\bI(\d{1,2})\b", path.read_text())}
    assert cited - set(promised) == set()


def test_every_promise_says_whether_it_is_kept() -> None:
    promises = re.split(r"^- ", page("promises").split("\n## Money in\n")[1], flags=re.MULTILINE)[1:]
    assert [text for text in promises if not re.search(r"\*(Kept|In part|Later|later)[.:,]?\*", text)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_file_that_a_page_names_exists(path: Path) -> None:
    named = {word for word in code_words(path.read_text()) if word.startswith(("src/", "tests/", "packaging/"))}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", [README, *PAGES], ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    assert [path.name for path in PAGES if f"docs/{path.name})" not in README.read_text()] == []


def test_the_readme_has_two_set_up_commands_of_files_that_exist() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks == ["packaging/setup && .venv/bin/paynode demo\n", "tests/run\n"]
    scripts = {word for block in blocks for word in shlex.split(block) if word.startswith(("packaging/", "tests/"))}
    assert [name for name in sorted(scripts) if not (ROOT / name).stat().st_mode & 0o100] == []
    assert "demo" in COMMANDS


def test_the_retry_schedule_is_the_codes() -> None:
    (waits,) = re.findall(r"^\| Wait before it \| (.+) \|$", page("webhooks"), re.MULTILINE)
    assert waits.split(" | ") == [format_duration(wait) for wait in STANDARD.waits]


def fenced(language: str) -> list[str]:
    """The pieces of code on the page about webhooks, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page("webhooks"), re.MULTILINE | re.DOTALL)


EVENT_ID, BODY = "evt_1", b'{"id": "evt_1", "type": "invoice.paid"}'
RANDOM = signing.Secret.from_key(bytes(range(32))).reveal()
STALE = datetime(2020, 1, 1, tzinfo=UTC)


def signed(secret: str, body: bytes = BODY, sent_at: datetime | None = None, *, is_hex: bool) -> dict[str, str]:
    read = signing.Secret.from_text if is_hex else signing.Secret.of_any
    signature_format = signing.SignatureFormat.HEX if is_hex else signing.SignatureFormat.STANDARD
    signer = signing.Signer(signature_format, (read(secret),))
    return signer.headers(EVENT_ID, sent_at or datetime.now(UTC), body)


@pytest.mark.parametrize(
    ("number", "secret"),
    [(0, RANDOM), (1, RANDOM), (1, "any text"), (2, RANDOM), (2, "any text")],
    ids=["with a library", "by hand", "by hand, a callback", "in hex", "in hex, any text"],
)
def test_a_receiver_written_from_the_page_believes_our_signature_and_no_other(number: int, secret: str) -> None:
    written: dict[str, Any] = {}
    exec(compile(fenced("python")[number], "webhooks.md", "exec"), written)
    verified, is_hex = written["verified"], number == 2
    assert verified(secret, signed(secret, is_hex=is_hex), BODY)["type"] == "invoice.paid"
    with pytest.raises((ValueError, WebhookVerificationError)):
        verified(secret, signed(secret, is_hex=is_hex), BODY.replace(b"paid", b"lost"))
    if not is_hex:
        with pytest.raises((ValueError, WebhookVerificationError)):
            verified(secret, signed(secret, sent_at=STALE, is_hex=False), BODY)


CALLED = """
const { cases } = JSON.parse(require("node:fs").readFileSync(0));
const outcome = ([secret, headers, body]) => {
  try { return verified(secret, headers, Buffer.from(body)).type } catch (error) { return error.message }
};
console.log(JSON.stringify(cases.map(outcome)));
"""


@pytest.mark.parametrize("is_hex", [False, True], ids=["standard", "in hex"])
def test_a_receiver_in_javascript_does_so_too(is_hex: bool) -> None:
    lost = BODY.replace(b"paid", b"lost").decode()
    cases = [(secret, signed(secret, is_hex=is_hex), BODY.decode()) for secret in (RANDOM, "any text")]
    cases += [(secret, headers, lost) for secret, headers, _ in cases]
    cases.append((RANDOM, signed(RANDOM, sent_at=STALE, is_hex=is_hex), BODY.decode()))
    done = subprocess.run(
        ["node", "-e", fenced("js")[is_hex] + CALLED],
        input=json.dumps({"cases": cases}),
        capture_output=True,
        text=True,
        check=True,
    )
    stale = "invoice.paid" if is_hex else "too old: perhaps somebody sends an old message again"
    assert json.loads(done.stdout) == ["invoice.paid"] * 2 + ["wrong signature"] * 2 + [stale]
