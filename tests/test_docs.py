"""Documentation that cannot rot: what the code knows is held against what the documents say."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from paynode.config import Config, load_config
from paynode.config.load import read_config
from paynode.config.networks import presets
from paynode.config.secrets import Credentials
from paynode.config.table import Reading, Table

EXAMPLE = (Path(__file__).parent.parent / "config.example.toml").read_text()
SETTING = re.compile(r"^#(?=[a-z\[])", re.MULTILINE)  # a commented setting; prose has a blank after its `#`
UNCOMMENTED = SETTING.sub("", EXAMPLE)
WATCH = UNCOMMENTED.replace('mode = "hot"', 'mode = "watch"')
HOT = re.sub(r"^xpub.*\n", "", UNCOMMENTED, flags=re.MULTILINE)  # the one setting that hot custody refuses


def load(folder: Path, toml: str) -> Config:
    (folder / "mnemonic").touch(mode=0o600)
    (folder / "sanctioned.txt").touch()
    (folder / "aml_key").touch(mode=0o600)
    (folder / "aml_key").write_text("secret")
    path = folder / "config.toml"
    path.write_text(toml)
    return load_config(path, environ={})


@pytest.mark.parametrize(
    "toml", [EXAMPLE, HOT, WATCH], ids=["as it stands", "all settings, hot", "all settings, watch"]
)
def test_the_example_config_loads(tmp_path: Path, toml: str) -> None:
    config = load(tmp_path, toml)
    assert config.node.mode == "test"
    assert [network.chain_id for network in config.enabled_networks] == [31337]


def test_the_examples_defaults_are_the_codes(tmp_path: Path) -> None:
    # Settings shown with a value that is no default.
    shown = (
        r"public_url|trusted_proxies|currency|tokens|explorer|sweep|confirmations_from|budget|treasury\.anvil|sources|urls|allow"
        r"|address_policy|deny_files|max_age = .30d|screening|provider|sanctions_oracle|invoices"
        r"|allowed_origins|branding"
    )
    spelled_out = load(tmp_path, re.sub(rf"^({shown}).*\n", "", HOT, flags=re.MULTILINE))
    assert spelled_out == load(tmp_path, EXAMPLE)


def test_every_config_key_is_explained_in_the_example(tmp_path: Path) -> None:
    reading = Reading()
    values = tomllib.loads(WATCH, parse_float=Decimal)
    path = tmp_path / "config.toml"
    read_config(Table(values, reading), reading, path, Credentials(tmp_path, {}), require_mnemonic=False)
    own_terms = {key for key in reading.known_keys if key.startswith(OWN_TERMS)}
    assert {key.removeprefix("stores.*.") for key in own_terms} <= reading.known_keys
    missing = {key for key in reading.known_keys - own_terms if not is_in(values, key.split("."))}
    assert missing == set()
    assert len(reading.known_keys) > 40


OWN_TERMS = "stores.*.invoices."  # explained under [invoices]


def is_in(values: object, key: list[str]) -> bool:
    """Whether the dotted key, `*` for any name, stands in the tables."""
    if not key:
        return True
    if not isinstance(values, dict):
        return False
    name, *rest = key
    return any(is_in(value, rest) for written, value in values.items() if name in ("*", written))


def test_every_setting_of_the_example_has_a_comment_above_it() -> None:
    lines = EXAMPLE.splitlines()
    settings = [index for index, line in enumerate(lines) if re.match(r"#?[a-z][a-z_.]* = ", line)]
    assert len(settings) > 25
    assert [lines[index] for index in settings if not lines[index - 1].startswith("# ")] == []


def test_every_preset_is_named_in_the_example() -> None:
    assert [name for name in presets() if not re.search(rf"^#   .*\b{name}\b", EXAMPLE, re.MULTILINE)] == []
