"""The contract, for programmers in TypeScript: types are made from it, and a client written against them compiles."""

import shutil
import subprocess
from pathlib import Path

import msgspec
from tests.api.conftest import ROUTES

from paynode.api import contract

BIN = Path(__file__).parents[1] / "lab" / "node_modules" / ".bin"
CLIENT = Path(__file__).parent / "typescript" / "client.ts"
STRICT = ("--noEmit", "--strict", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022")


def run(folder: Path, tool: str, *arguments: str) -> None:
    done = subprocess.run([BIN / tool, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_a_client_written_against_the_generated_types_compiles_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    document = contract.document(ROUTES.values(), version="1", url="https://pay.example.com")
    (tmp_path / "openapi.json").write_bytes(msgspec.json.encode(document))
    shutil.copy(CLIENT, tmp_path)
    run(tmp_path, "openapi-typescript", "openapi.json", "--output", "schema.d.ts")
    run(tmp_path, "tsc", *STRICT, "client.ts")
