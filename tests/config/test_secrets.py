"""A secret never stands in the config, comes only from where others cannot read, and never prints."""

import pickle
from pathlib import Path

import pytest
from tests.config.toml import CHAIN, NODE, WHOLE, XPUBS, load, mistakes

from paynode.config import Secret, load_config

PHRASE = "test test test test test test test test test test test junk"
PRIVATE_KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's first, known to everybody
XPRV = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
KEYED = WHOLE.replace("http://127.0.0.1:8545", "https://rpc.example.com/v1/{credential:rpc_key}")


@pytest.mark.parametrize(
    ("toml", "key", "kind"),
    [
        (WHOLE + f'[custody]\nmnemonic_file = "{PHRASE}"', "custody.mnemonic_file", "mnemonic"),
        (WHOLE + f'[custody]\nmnemonic = "{PHRASE}"', "custody.mnemonic", "mnemonic"),
        (WHOLE + f'[stores.main]\nname = "{PRIVATE_KEY}"', "stores.main.name", "private key"),
        (WHOLE + f'[custody]\nkeys = ["0x{PRIVATE_KEY}"]', "custody.keys", "private key"),
        (WHOLE + f'[custody]\nxpub.evm = "{XPRV}"', "custody.xpub.evm", "extended private key"),
        (WHOLE + f'[custody]\n"{PHRASE}" = 1', "custody", "mnemonic"),
        (WHOLE.replace("8545", f"8545/{PRIVATE_KEY}"), "networks.shopchain.rpc", "private key"),
        (WHOLE.replace("http://", "http://user:hunter2@"), "networks.shopchain.rpc", "user name or password"),
    ],
)
def test_a_config_that_holds_a_secret_is_refused_without_repeating_it(
    tmp_path: Path, toml: str, key: str, kind: str
) -> None:
    found = mistakes(tmp_path, toml)
    assert key in found
    told = [str(mistake) for mistake in found.values()]
    assert any(kind in line for line in told)
    assert not any(secret in line for line in told for secret in (PHRASE, PRIVATE_KEY, XPRV, "hunter2"))


@pytest.mark.parametrize(
    "url",
    [
        "https://mainnet.example.io/v3/9aa3d95b3bc440fa88ea12eaa4456161",
        "https://eth-mainnet.example.com/v2/fJ3kQx-81bNvUz_aPw0LmRtYcDeGhIjK",
        "https://rpc.example.com?dkey=AkJx9QeTz0RvhK5sWmB1",
        "https://rpc.example.com/0b1ff2f6-31c4-4a0e-8a6a-9a4e5d5a1c77/eth",
    ],
)
def test_a_providers_key_that_stands_in_its_url_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    mistake = mistakes(tmp_path, WHOLE.replace("http://127.0.0.1:8545", url))["networks.shopchain.rpc"]
    assert "looks like an API key" in mistake.problem
    assert "{credential:rpc_key}" in mistake.remedy
    assert url.partition("example")[2] not in str(mistake)


@pytest.mark.parametrize(
    "url",
    [
        "https://ethereum-sepolia-rpc-2.example.com/v1/mainnet",
        "https://api.example.network/ext/bc/C/rpc",
        "https://rpc.example.com/arbitrum-one-archive-2?chain=42161",
        "https://rpc.example.com/0xdAC17F958D2ee523a2206206994597C13D831ec7",
        "https://rpc.example.com/v1/{credential:rpc_key}",
    ],
)
def test_what_names_a_network_is_no_key(tmp_path: Path, url: str) -> None:
    toml = WHOLE.replace("http://127.0.0.1:8545", url)
    [read] = load(tmp_path, toml, environ={"PAYNODE_CREDENTIAL_RPC_KEY": "k" * 30}).networks["shopchain"].rpc
    assert read.reveal() == url.replace("{credential:rpc_key}", "k" * 30)


def test_an_extended_public_key_and_a_long_name_are_no_secrets(tmp_path: Path) -> None:
    toml = (
        WHOLE
        + f'[custody]\nmode = "watch"\nxpub.evm = "{XPUBS[0]}"\n[stores.main]\nname = "The corner shop, est. 1999"'
    )
    assert load(tmp_path, toml).stores["main"].xpub_evm == XPUBS[0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_mnemonic_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    found = mistakes(tmp_path, WHOLE, mnemonic_mode=mode)
    assert "chmod 600" in found["custody.mnemonic_file"].remedy


def test_a_missing_mnemonic_is_refused_unless_it_is_about_to_be_made(tmp_path: Path) -> None:
    remedy = mistakes(tmp_path, WHOLE, mnemonic_mode=None)["custody.mnemonic_file"].remedy
    assert "0600" in remedy
    assert "`paynode init --new-mnemonic`" in remedy
    config = load_config(tmp_path / "paynode.toml", environ={}, require_mnemonic=False)
    assert config.custody.mnemonic is not None
    assert config.custody.mnemonic.path == tmp_path / "mnemonic"


def test_the_mnemonic_is_read_when_it_is_needed(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    assert config.custody.mnemonic is not None
    assert config.custody.mnemonic.read().reveal() == "words of a phrase"


def test_a_systemd_credential_comes_first_and_its_group_bits_are_no_fault(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mnemonic").write_text("words from systemd")
    (credentials / "mnemonic").chmod(0o440)
    config = load(tmp_path, WHOLE, environ={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert config.custody.mnemonic is not None
    assert config.custody.mnemonic.read().reveal() == "words from systemd"


def test_a_credential_completes_an_rpc_url_from_each_of_its_three_places(tmp_path: Path) -> None:
    environ = {"PAYNODE_CREDENTIAL_RPC_KEY": "from-environment"}
    [url] = load(tmp_path, KEYED, environ=environ).networks["shopchain"].rpc
    assert url.reveal() == "https://rpc.example.com/v1/from-environment"

    (tmp_path / "rpc_key").touch(mode=0o600)
    (tmp_path / "rpc_key").write_text("from-file\n")
    [url] = load(tmp_path, KEYED, environ=environ).networks["shopchain"].rpc
    assert url.reveal() == "https://rpc.example.com/v1/from-file"

    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "rpc_key").write_text("from-systemd")
    environ["CREDENTIALS_DIRECTORY"] = str(credentials)
    [url] = load(tmp_path, KEYED, environ=environ).networks["shopchain"].rpc
    assert url.reveal() == "https://rpc.example.com/v1/from-systemd"


@pytest.mark.parametrize("value", ["two words", "a#b", "a?b", "a\tb", "ü"])
def test_a_credential_that_would_change_the_url_is_refused(tmp_path: Path, value: str) -> None:
    found = mistakes(tmp_path, KEYED, environ={"PAYNODE_CREDENTIAL_RPC_KEY": value})
    assert "Percent-encode" in found["networks.shopchain.rpc"].remedy
    assert value not in str(found)


def test_a_credential_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rpc_key").write_text("k")
    (tmp_path / "rpc_key").chmod(0o644)
    assert "chmod 600" in mistakes(tmp_path, KEYED)["networks.shopchain.rpc"].remedy


def test_a_credential_cannot_name_the_host(tmp_path: Path) -> None:
    toml = WHOLE.replace("127.0.0.1:8545", "{credential:host}")
    assert "networks.shopchain.rpc" in mistakes(tmp_path, toml, environ={"PAYNODE_CREDENTIAL_HOST": "evil.example"})


def test_nothing_secret_is_printed_with_the_config(tmp_path: Path) -> None:
    config = load(tmp_path, KEYED, environ={"PAYNODE_CREDENTIAL_RPC_KEY": "s3cr3t"})
    assert "s3cr3t" not in f"{config!r} {config}"
    [url] = config.networks["shopchain"].rpc
    assert url.name == str(url) == "rpc.example.com"


def test_providers_on_one_host_are_told_apart_by_name(tmp_path: Path) -> None:
    toml = NODE + CHAIN.replace(
        '"http://127.0.0.1:8545"', '"https://a.example/1", "https://a.example/2", "https://b.example"'
    )
    names = [url.name for url in load(tmp_path, toml).networks["shopchain"].rpc]
    assert names == ["a.example", "a.example#2", "b.example"]


def test_a_secret_prints_as_stars_and_is_not_pickled() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r}" == "*** Secret(***)"
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
