import hashlib

import pytest

from paynode.chains.sim import keys


def test_an_address_comes_from_its_key_and_the_key_from_its_path():
    key = keys.private_key("m/44'/60'/3'/0/7")
    assert key == hashlib.sha256(b"paynode sim m/44'/60'/3'/0/7").digest()
    assert keys.deposit_address(3, 7) == keys.address_of(key)
    assert keys.gas_address(3) == keys.address_of(keys.private_key("m/44'/60'/3'/1'/0'"))


def test_accounts_indexes_and_purposes_have_addresses_of_their_own():
    addresses = {keys.deposit_address(account, index) for account in range(5) for index in range(5)}
    addresses |= {keys.gas_address(account) for account in range(5)}
    assert len(addresses) == 30


def test_an_address_is_read_in_any_case_and_with_blanks_around_it():
    address = keys.deposit_address(0, 0)
    assert keys.parse_address(f" {address.upper()}\n") == address


@pytest.mark.parametrize(
    "text", ["", "sim1", "sim1" + "g" * 40, "sim1" + "0" * 39, "0x" + "0" * 40, "sim1" + "\u0660" * 40]
)
def test_what_is_no_address_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"An address .*\."):
        keys.parse_address(text)
