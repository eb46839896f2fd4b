"""The Solidity compiler, and the artifacts of the node's own contracts.

Settings are pinned and metadata is left out, so the same source always gives
the same bytes. The node's artifacts are committed beside their sources; after
a change of a source, `python -m tests.lab.solc` writes them again.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paynode.chains.evm import contracts as own_contracts

LAB = Path(__file__).parent
OWN_SOURCES = Path(own_contracts.__path__[0])
TEST_SOURCES = LAB / "contracts"
SET_UP = "run `packaging/setup test` first"

SETTINGS = {
    "evmVersion": "paris",  # the oldest machine among the networks we know
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 200},
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}},
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """One contract: `init_code` deploys it, `runtime_code` is what then lies at its address (immutables unset)."""

    abi: list[dict[str, Any]]
    init_code: str
    runtime_code: str


def compile_folder(folder: Path) -> dict[str, Compiled]:
    """Every contract in the `.sol` files of `folder`, by name. Takes seconds."""
    sources = {path.name: {"content": path.read_text()} for path in sorted(folder.glob("*.sol"))}
    request = json.dumps({"language": "Solidity", "sources": sources, "settings": SETTINGS})
    if not (LAB / "node_modules" / "solc").is_dir():
        raise FileNotFoundError(f"no Solidity compiler: {SET_UP}")
    answer = subprocess.run(
        ["node", str(LAB / "compile.js")], input=request, capture_output=True, text=True, check=True, timeout=300
    )
    output = json.loads(answer.stdout)
    if errors := [e["formattedMessage"] for e in output.get("errors", ()) if e["severity"] == "error"]:
        raise ValueError("\n".join(errors))
    return {
        name: Compiled(
            made["abi"],
            "0x" + made["evm"]["bytecode"]["object"],
            "0x" + made["evm"]["deployedBytecode"]["object"],
        )
        for by_name in output["contracts"].values()
        for name, made in by_name.items()
    }


def test_contracts() -> dict[str, Compiled]:
    """The tokens and payers of this folder, compiled once per source and kept in the system's temporary folder."""
    digest = hashlib.sha256(json.dumps(SETTINGS).encode())
    digest.update((LAB / "package-lock.json").read_bytes())
    for path in sorted(TEST_SOURCES.glob("*.sol")):
        digest.update(path.read_bytes())
    cache = Path(tempfile.gettempdir()) / f"paynode-contracts-{os.getuid()}-{digest.hexdigest()[:16]}.json"
    if not cache.exists():
        made = {name: [c.abi, c.init_code, c.runtime_code] for name, c in compile_folder(TEST_SOURCES).items()}
        # A file of our own, renamed at the end: two runs at once never read half of it.
        with tempfile.NamedTemporaryFile("w", dir=cache.parent, prefix=cache.stem, delete=False) as file:
            json.dump(made, file)
        os.replace(file.name, cache)
    return {name: Compiled(*fields) for name, fields in json.loads(cache.read_text()).items()}


test_contracts.__test__ = False  # type: ignore[attr-defined]  # a helper, not a test


def artifact(compiled: dict[str, Compiled]) -> str:
    """The text of a committed artifact: what the node needs of each contract, and how it was made."""
    contracts = {
        name: {"abi": c.abi, "init_code": c.init_code, "runtime_code": c.runtime_code}
        for name, c in sorted(compiled.items())
    }
    settings = {key: value for key, value in SETTINGS.items() if key != "outputSelection"}
    lock = json.loads((LAB / "package-lock.json").read_text())
    compiler = f"solc {lock['packages']['node_modules/solc']['version']}"
    return json.dumps({"compiler": compiler, "settings": settings, "contracts": contracts}, indent=1) + "\n"


if __name__ == "__main__":
    (OWN_SOURCES / "contracts.json").write_text(artifact(compile_folder(OWN_SOURCES)))
