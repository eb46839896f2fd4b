"""Configs for tests: a whole one to change, and a loader that answers with the mistakes by key."""

from collections.abc import Mapping
from pathlib import Path

from paynode.config import Config, ConfigMistakes, Mistake, load_config

# anvil's public test accounts
TREASURY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OTHER_TREASURY = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3"

# The accounts 0 and 1 (m/44'/60'/account') of anvil's public mnemonic, by bip-utils.
XPUBS = (
    "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP",
    "xpub6Ce9NcJvTk372KjsGfWqbcex5DumjpNquQLApoeQUavSCjEc823BV1tb4rXUuPuht8h2hSxkg2EXUaKUJmniJvRZAELxypsCzBFdtosmV76",
)

NODE = '[node]\nmode = "test"\n'
CHAIN = f"""
[networks.shopchain]
family = "evm"
chain_id = 31337
rpc = ["http://127.0.0.1:8545"]
treasury = "{TREASURY}"
confirmations = 3
native = {{ symbol = "eth", decimals = 18 }}
"""
WHOLE = NODE + CHAIN


def load(
    folder: Path, toml: str, *, environ: Mapping[str, str] | None = None, mnemonic_mode: int | None = 0o600
) -> Config:
    """The config `toml` in a folder with a mnemonic of that mode, or with none."""
    path = folder / "paynode.toml"
    path.write_text(toml)
    if mnemonic_mode is not None:
        mnemonic = folder / "mnemonic"
        mnemonic.write_text("words of a phrase\n")
        mnemonic.chmod(mnemonic_mode)
    return load_config(path, environ=environ or {})


def mistakes(
    folder: Path, toml: str, *, environ: Mapping[str, str] | None = None, mnemonic_mode: int | None = 0o600
) -> dict[str, Mistake]:
    """What is wrong with the config, by key; empty if nothing is."""
    try:
        load(folder, toml, environ=environ, mnemonic_mode=mnemonic_mode)
    except ConfigMistakes as wrong:
        return {mistake.key: mistake for mistake in wrong.mistakes}
    return {}
