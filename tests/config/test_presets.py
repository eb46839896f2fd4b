"""A wrong token contract is lost money, so each is confirmed twice and written with its checksum."""

import re
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from tests.config.toml import TREASURY, load

from paynode.config.evm import checksum_address, parse_address
from paynode.config.networks import presets

# viem 2.57.20, viem/chains
CHAIN_IDS = {
    "eth": 1,
    "polygon": 137,
    "bnb": 56,
    "base": 8453,
    "arbitrum": 42161,
    "optimism": 10,
    "avalanche": 43114,
    "gnosis": 100,
    "sepolia": 11155111,
    "amoy": 80002,
}
PRESETS: dict[str, Any] = presets()
TOKENS = [
    (name, symbol, token) for name, preset in PRESETS.items() for symbol, token in preset.get("tokens", {}).items()
]


def test_every_network_has_its_chain_id() -> None:
    assert {name: preset["chain_id"] for name, preset in PRESETS.items()} == CHAIN_IDS


@pytest.mark.parametrize(("name", "symbol", "token"), TOKENS)
def test_a_contract_is_confirmed_by_two_packages_and_carries_its_checksum(
    name: str, symbol: str, token: dict[str, Any]
) -> None:
    packages = [confirmation.rpartition(" ") for confirmation in token["confirmed_by"]]
    assert len({package for package, _, _ in packages}) >= 2
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for _, _, version in packages)
    assert parse_address(token["contract"]) == to_checksum_address(token["contract"])


def test_the_decimals_are_those_the_issuers_chose() -> None:
    assert {(symbol, token["decimals"]) for _, symbol, token in TOKENS} == {("usdt", 6), ("usdc", 6), ("eth", 18)}


def test_no_contract_serves_two_tokens_of_a_network() -> None:
    assert len({(name, token["contract"]) for name, _, token in TOKENS}) == len(TOKENS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_with_providers_and_a_treasury(tmp_path: Path, name: str) -> None:
    mode = "test" if PRESETS[name].get("testnet") else "live"
    toml = f'[node]\nmode = "{mode}"\n[networks.{name}]\nrpc = ["https://a.example"]\ntreasury = "{TREASURY}"'
    network = load(tmp_path, toml).networks[name]
    assert network.reorg_horizon > network.confirmations
    assert network.explorer is not None


# https://eips.ethereum.org/EIPS/eip-55, "Test Cases"
@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
    ],
)
def test_the_checksum_is_that_of_eip_55(address: str) -> None:
    assert checksum_address(bytes.fromhex(address[2:])) == address
