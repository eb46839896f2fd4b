"""The seed against published vectors, and against a second implementation (eth-account's own HD wallet)."""

import pickle
from datetime import timedelta
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from paynode.config import ConfigMistakes, Custody, CustodyMode, Secret, SecretFile, Wrong
from paynode.config.evm import account_of, parse_account_xpub
from paynode.domain.key_paths import deposit_path, gas_path
from paynode.seed import Seed, load_seed, new_mnemonic

# Hardhat's and anvil's development mnemonic, with the addresses and keys that both print when they start
# (https://hardhat.org/hardhat-network/docs/reference, `accounts`).
JUNK = "test test test test test test test test test test test junk"
JUNK_ACCOUNTS = (
    (
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    ),
    (
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    ),
    (
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    ),
)

# Phrases of the BIP-39 test vectors, one of each length they have (https://github.com/trezor/python-mnemonic,
# vectors.json). The first one's account and first address are those that Ian Coleman's BIP-39 page shows for ETH.
ABANDON = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
ABANDON_XPUB = (
    "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
)
ABANDON_FIRST_ADDRESS = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
VECTORS = (
    "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
    "gravity machine north sort system female filter attitude volume fold club stay feature office ecology stable "
    "narrow fog",
    "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple "
    "dilemma loan word shrug inflict delay length",
)


def seed_of(phrase: str) -> Seed:
    return Seed(Secret(phrase))


def second_opinion(phrase: str, path: str) -> tuple[str, bytes]:
    """Address and key by eth-account."""
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(phrase, account_path=path)
    return account.address, bytes(account.key)


def test_deposit_keys_are_those_that_hardhat_and_anvil_print() -> None:
    seed = seed_of(JUNK)
    for index, (address, key) in enumerate(JUNK_ACCOUNTS):
        assert seed.address(deposit_path(0, index)) == address
        assert seed.private_key(deposit_path(0, index)).hex() == key


def test_the_account_xpub_is_the_one_that_wallets_export() -> None:
    seed = seed_of(ABANDON)
    assert seed.account_xpub(0) == ABANDON_XPUB
    assert seed.address(deposit_path(0, 0)) == ABANDON_FIRST_ADDRESS
    assert account_of(parse_account_xpub(seed.account_xpub(7))) == 7


@pytest.mark.parametrize("phrase", VECTORS)
def test_the_phrases_of_the_bip39_vectors_give_the_keys_that_eth_account_gives(phrase: str) -> None:
    seed = seed_of(phrase)
    for path in (deposit_path(0, 0), deposit_path(3, 12345), gas_path(0), gas_path(3)):
        assert (seed.address(path), seed.private_key(path)) == second_opinion(phrase, path)


@settings(max_examples=10)
@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_any_account_and_index_agree_with_eth_account(account: int, index: int) -> None:
    path = deposit_path(account, index)
    assert seed_of(JUNK).private_key(path) == second_opinion(JUNK, path)[1]


@pytest.mark.parametrize("path", ["m", "m/44'/60'/0'", "m/44'/60'/0'/0", "m/44'/0'/0'/0/0", "m/44'/60'/0'/1/0"])
def test_no_key_is_given_away_that_is_not_of_this_node(path: str) -> None:
    with pytest.raises(AssertionError):
        seed_of(JUNK).private_key(path)


def test_blanks_line_ends_and_capitals_do_not_matter() -> None:
    typed = "\n " + JUNK.upper().replace(" ", "\t ") + " \r\n"
    assert seed_of(typed).account_xpub(0) == seed_of(JUNK).account_xpub(0)


@pytest.mark.parametrize(
    ("phrase", "problem"),
    [
        ("test " * 11 + "secretword", "at place 12"),
        ("secretword test otherword " + "test " * 9, "at place 1, 3"),
        ("test " * 12, "checksum is wrong"),
        (JUNK.replace("test junk", "junk test"), "checksum is wrong"),
        ("test " * 13, "has 13 words"),
    ],
)
def test_a_wrong_phrase_is_refused_without_repeating_a_word_of_it(phrase: str, problem: str) -> None:
    with pytest.raises(Wrong) as caught:
        seed_of(phrase)
    told = f"{caught.value.problem}. {caught.value.remedy}"
    assert problem in told
    assert not {"test", "junk", "secretword", "otherword"} & set(told.split())


def test_a_file_with_a_wrong_phrase_is_told_by_its_key_in_the_config(tmp_path: Path) -> None:
    path = tmp_path / "mnemonic"
    path.touch(mode=0o600)
    path.write_text("test " * 12)
    with pytest.raises(ConfigMistakes) as caught:
        load_seed(Custody(CustodyMode.HOT, SecretFile(path, is_credential=False), timedelta(0)))
    assert [mistake.key for mistake in caught.value.mistakes] == ["custody.mnemonic_file"]
    assert caught.value.__context__ is None


def test_without_keys_there_is_no_seed() -> None:
    assert load_seed(Custody(CustodyMode.WATCH, None, timedelta(0))) is None


def test_a_seed_prints_and_pickles_nothing() -> None:
    seed = seed_of(JUNK)
    assert (repr(seed), str(seed), f"{seed}") == ("Seed(***)",) * 3
    with pytest.raises(TypeError):
        pickle.dumps(seed)


def test_a_new_mnemonic_has_24_words_and_is_never_the_same() -> None:
    first, second = new_mnemonic(), new_mnemonic()
    assert first != second
    assert len(first.reveal().split()) == 24
    path = deposit_path(0, 0)
    assert Seed(first).private_key(path) == second_opinion(first.reveal(), path)[1]
