"""Every mistake is told with its key and a remedy, all of them at once, and no secret with them."""

import os
from pathlib import Path

import pytest
from tests.config.toml import CHAIN, NODE, OTHER_TREASURY, TOKEN, TREASURY, WHOLE, XPUBS, load, mistakes

from paynode.config import ConfigMistakes, load_config

WRONG_CASE = TREASURY.lower()
ETH = '[networks.eth]\nrpc = ["https://rpc.example.com"]\n'

DEEPER = "confirmations_from = {{ {} }}\n"

# what the file says, the key that is blamed, and a word of the problem and of the remedy
TABLE = [
    ("", "node.mode", "missing", '"live"'),
    ('[node]\nmode = "prod"', "node.mode", "possible values", "live, test, sim"),
    ('[node]\nmode = "test"\nlisten = ["example.com:80"]' + CHAIN, "node.listen", "item 1", "127.0.0.1"),
    ('[node]\nmode = "test"\nlisten = []' + CHAIN, "node.listen", "no address", "127.0.0.1"),
    ('[node]\nmode = "test"\nlisten = ["127.0.0.1:99999"]' + CHAIN, "node.listen", "host:port", "8080"),
    ('[node]\nmode = "test"\npublic_url = "pay.example.com"' + CHAIN, "node.public_url", "URL", "https://"),
    ('[stores.main]\nallowed_origins = ["https://a.b/"]' + CHAIN, "stores.main.allowed_origins", "origin", "path"),
    ('[stores.main]\nallowed_origins = ["https://a.b:443"]' + CHAIN, "stores.main.allowed_origins", "origin", "path"),
    ('[node]\nmode = "test"\npublic_url = "https://a.b/?x=1"' + CHAIN, "node.public_url", "query", "https://"),
    ('[node]\nmode = "test"\ntrusted_proxies = ["0.0.0.0/0"]' + CHAIN, "node.trusted_proxies", "every", "only"),
    ('[node]\nmode = "test"\ntrusted_proxies = ["10.0.0.1/8"]' + CHAIN, "node.trusted_proxies", "range", "/32"),
    ("node = 3" + CHAIN, "node", "not a table", "[node]"),
    (NODE, "networks", "no network", "[networks.polygon]"),
    (WHOLE + "enabled = false", "networks", "disabled", "enabled"),
    (WHOLE + "limits = 5", "networks.shopchain.limits", "not a known key", "Known here"),
    (WHOLE.replace("chain_id = 31337", ""), "networks.shopchain.chain_id", "missing", "chain id"),
    (WHOLE.replace("chain_id = 31337", "chain_id = 0"), "networks.shopchain.chain_id", "from 1", "range"),
    (WHOLE.replace("chain_id = 31337", "chain_id = true"), "networks.shopchain.chain_id", "whole number", "quotes"),
    (WHOLE.replace('family = "evm"', 'family = "btc"'), "networks.shopchain.family", "possible", "evm, sim"),
    (WHOLE.replace('family = "evm"', 'family = "sim"'), "networks.shopchain.family", "simulation", "sim"),
    (WHOLE.replace('mode = "test"', 'mode = "sim"'), "networks.shopchain.family", "real chain", "test"),
    (WHOLE.replace("confirmations = 3", "confirmations = 0"), "networks.shopchain.confirmations", "from 1", "range"),
    (WHOLE + "reorg_horizon = 2", "networks.shopchain.reorg_horizon", "below confirmations", "at least"),
    (WHOLE + "confirmations_from = 5", "networks.shopchain.confirmations_from", "not a table", "key = value"),
    (WHOLE + DEEPER.format('"1000" = 9'), "networks.shopchain.confirmations_from.1000", "currency", "20 USD"),
    (WHOLE + DEEPER.format('"9 USD" = 0'), 'networks.shopchain.confirmations_from."9 USD"', "from 1", "range"),
    (WHOLE + DEEPER.format('"9 USD" = 3'), 'networks.shopchain.confirmations_from."9 USD"', "no more", "rising"),
    (
        WHOLE + DEEPER.format('"9 USD" = 8, "8 USD" = 9'),
        'networks.shopchain.confirmations_from."8 USD"',
        "not more",
        "rising",
    ),
    (
        WHOLE + DEEPER.format('"8 USD" = 9, "9 USD" = 9'),
        'networks.shopchain.confirmations_from."9 USD"',
        "no more",
        "rising",
    ),
    (
        WHOLE + DEEPER.format('"9 USD" = 64') + "reorg_horizon = 63",
        "networks.shopchain.reorg_horizon",
        "below",
        "at least",
    ),
    (WHOLE + "budget = 5", "networks.shopchain.budget", "not a table", "{ key = value }"),
    (WHOLE + "budget = { calls_per_day = 10 }", "networks.shopchain.budget.calls_per_day", "from 1000", "range"),
    (WHOLE + "budget = { calls_per_second = 4 }", "networks.shopchain.budget.calls_per_second", "from 5", "range"),
    (WHOLE + 'sanctions_oracle = "0x12"', "networks.shopchain.sanctions_oracle", "EVM address", "40"),
    (WHOLE + '[screening]\ndeny_files = ["gone.txt"]', "screening.deny_files", "gone.txt", "correct the name"),
    (WHOLE + '[screening]\ndeny_files = ["mnemonic", "mnemonic"]', "screening.deny_files", "twice", "Remove"),
    (WHOLE + '[screening]\nmax_age = "1d"', "screening.max_age", "there is none", "Name one"),
    (WHOLE + "[screening]\nrequired = true", "screening.required", "nobody is asked", "deny_files"),
    (WHOLE + "[stores.main]\nscreening = { required = true }", "stores.main.screening.required", "shopchain", "asked"),
    (WHOLE + '[stores.main]\nscreening = { flagged = "keep" }', "stores.main.screening.flagged", "possible", "hold"),
    (WHOLE + "[screening]\nprovider = {}", "screening.provider.url", "missing", "{address}"),
    (WHOLE + '[screening.provider]\nurl = "https://a.b/x"', "screening.provider.url", "{address}", "{network}"),
    (WHOLE + '[screening.provider]\nurl = "https://a.b/{coin}"', "screening.provider.url", "placeholder", "{address}"),
    (
        WHOLE + '[screening.provider]\nurl = "https://a.b/{address}"\nheaders = { X_Key = "1" }',
        "screening.provider.headers.X_Key",
        "not the name",
        "X-Api-Key",
    ),
    (
        WHOLE + '[screening.provider]\nurl = "https://a.b/{address}"\nheaders = { X-Key = "{credential:aml}" }',
        "screening.provider.headers.X-Key",
        "needs the credential",
        "0600",
    ),
    (
        WHOLE + '[screening.provider]\nurl = "https://a.b/{address}"\nheaders = { X-Key = "9aa3d95b3bc440fa88ea12ea" }',
        "screening.provider.headers.X-Key",
        "looks like an API key",
        "{credential:",
    ),
    (
        WHOLE + '[rates]\nurls = { mine = "https://a.b/{base}/{quote}?key=9aa3d95b3bc440fa88ea12ea" }',
        "rates.urls.mine",
        "looks like an API key",
        "{credential:",
    ),
    (WHOLE + "tick_seconds = 0", "networks.shopchain.tick_seconds", "from 1", "range"),
    (WHOLE.replace('"http://127.0.0.1:8545"', ""), "networks.shopchain.rpc", "no provider", "https://"),
    (WHOLE.replace("http:", "ws:"), "networks.shopchain.rpc", "item 1 is not an http", "https://"),
    (WHOLE.replace("127.0.0.1:8545", "{key}.example"), "networks.shopchain.rpc", "item 1 is not", "{credential:"),
    (WHOLE.replace("8545", "8545/{key}"), "networks.shopchain.rpc", "placeholder", "{credential:"),
    (WHOLE.replace("8545", "8545/{credential:none}"), "networks.shopchain.rpc", "nowhere", "PAYNODE_CREDENTIAL_NONE"),
    (WHOLE.replace(TREASURY, WRONG_CASE), "networks.shopchain.treasury", "EIP-55", "Copy"),
    (WHOLE.replace(TREASURY, "0x" + "0" * 40), "networks.shopchain.treasury", "nobody", "your own wallet"),
    (WHOLE.replace(TREASURY, "shop.eth"), "networks.shopchain.treasury", "not an EVM address", "0x"),
    (WHOLE.replace(f'treasury = "{TREASURY}"', ""), "networks.shopchain.treasury", "missing", "wallet"),
    (
        WHOLE + f'tokens.usdt = {{ contract = "{TREASURY}", decimals = 6 }}',
        "networks.shopchain.treasury",
        "contract",
        "wallet",
    ),
    (
        WHOLE
        + f'tokens.a = {{ contract = "{TOKEN}", decimals = 6 }}\ntokens.b = {{ contract = "{TOKEN}", decimals = 6 }}',
        "networks.shopchain.tokens.b.contract",
        "also that of a",
        "Remove",
    ),
    (WHOLE + "tokens.usdt = { decimals = 6 }", "networks.shopchain.tokens.usdt.contract", "missing", "issuer"),
    (
        WHOLE + 'tokens.pol = { contract = "0x0000000000000000000000000000000000001010", decimals = 18 }',
        "networks.shopchain.tokens.pol.contract",
        "native coin",
        "Remove",
    ),
    (
        WHOLE + f'tokens.usdt = {{ contract = "{TOKEN}" }}',
        "networks.shopchain.tokens.usdt.decimals",
        "missing",
        "decimals",
    ),
    (
        WHOLE + f'tokens.eth = {{ contract = "{TOKEN}", decimals = 6 }}',
        "networks.shopchain.tokens.eth",
        "native",
        "weth",
    ),
    (
        WHOLE + f'tokens.usdc_e = {{ contract = "{TOKEN}", decimals = 6 }}',
        "networks.shopchain.tokens.usdc_e",
        "symbol",
        "usdt",
    ),
    (WHOLE.replace('symbol = "eth", ', ""), "networks.shopchain.native.symbol", "missing", "symbol"),
    (WHOLE + 'sweep = { min_value = "20" }', "networks.shopchain.sweep.min_value", "currency", "20 USD"),
    (WHOLE + 'sweep = { every = "1 hour" }', "networks.shopchain.sweep.every", "duration", "15m"),
    (WHOLE + 'sweep = { max_fee_gwei = "-1" }', "networks.shopchain.sweep.max_fee_gwei", "between", "range"),
    (
        WHOLE + 'sweep = { gas_budget_per_day = "0.0000000000000000001" }',
        "networks.shopchain.sweep.gas_budget_per_day",
        "decimals",
        "fewer",
    ),
    (WHOLE.replace("shopchain", "shop_chain"), "networks.shop_chain", "name", "shopchain"),
    (WHOLE.replace("shopchain", "stables"), "networks.stables", "name", "shopchain"),
    (WHOLE + CHAIN.replace("shopchain", "other"), "networks.other.chain_id", "networks.shopchain", "twice"),
    (NODE.replace("test", "live") + ETH + "chain_id = 5", "networks.eth.chain_id", "preset", "name of its own"),
    (NODE.replace("test", "live") + ETH.replace("eth", "sepolia"), "networks.sepolia", "test network", "node.mode"),
    (WHOLE + '[custody]\nmode = "cold"', "custody.mode", "possible values", "hot, watch"),
    (WHOLE + f'[custody]\nxpub.evm = "{XPUBS[0]}"', "custody.xpub.evm", "only for", "watch"),
    (WHOLE + '[custody]\nmode = "watch"', "custody.xpub.evm", "missing", "m/44'/60'/0'"),
    (
        WHOLE + f'[custody]\nmode = "watch"\nxpub.evm = "{XPUBS[1]}"',
        "custody.xpub.evm",
        "account 1, not 0",
        "m/44'/60'/0'",
    ),
    (WHOLE + f'[custody]\nmode = "watch"\nxpub.evm = "{XPUBS[0][:-1]}Q"', "custody.xpub.evm", "whole", "Export"),
    (WHOLE + '[custody]\ntreasury_change_delay = "1y"', "custody.treasury_change_delay", "duration", "7d"),
    (WHOLE + "[stores.a]\n[stores.b]", "stores.b.account", "stores.a", "of its own"),
    (WHOLE + "[stores.a]\naccount = -1", "stores.a.account", "from 0", "range"),
    (WHOLE + '[stores.a]\nname = ""', "stores.a.name", "text", "My shop"),
    (WHOLE + "[stores.Shop]", "stores.Shop", "id", "a-z"),
    (WHOLE + '[stores.a]\nallowed_origins = ["https://a.example/pay"]', "stores.a.allowed_origins", "origin", "path"),
    (WHOLE + '[stores.a]\nbranding.color = "green"', "stores.a.branding.color", "colour", "#0b6e4f"),
    (WHOLE + '[stores.a]\nbranding.support_email = "me"', "stores.a.branding.support_email", "e-mail", "help@"),
    (WHOLE + '[stores.a]\ninvoices.expires_in = "1s"', "stores.a.invoices.expires_in", "between", "range"),
    (WHOLE + "[stores.a]\ninvoices.rate = 1", "stores.a.invoices.rate", "known", "expires_in"),
    (WHOLE + f'[stores.a]\ntreasury.bnb = "{TREASURY}"', "stores.a.treasury.bnb", "not configured", "shopchain"),
    (WHOLE + f'[stores.a]\ntreasury.shopchain = "{WRONG_CASE}"', "stores.a.treasury.shopchain", "EIP-55", "Copy"),
    (WHOLE + '[invoices]\ncurrency = "Euro"', "invoices.currency", "ISO 4217", "EUR"),
    (WHOLE + '[invoices]\nexpires_in = "1s"', "invoices.expires_in", "between 1m and 365d", "range"),
    (WHOLE + '[invoices]\nlate_payment = "keep"', "invoices.late_payment", "possible", "review, accept"),
    (WHOLE + '[invoices]\ntolerance.under_percent = "60"', "invoices.tolerance.under_percent", "between", "range"),
    (WHOLE + '[invoices]\naddress_policy.mode = "rest"', "invoices.address_policy.mode", "possible", "fresh, reuse"),
    (WHOLE + '[invoices]\naddress_policy.rest = "5m"', "invoices.address_policy.rest", "between", "range"),
    (WHOLE + '[invoices]\naddress_policy.rest = "1d"', "invoices.address_policy.rest", "used again", "reuse"),
    (WHOLE + '[rates]\nsources = ["coingecko"]', "rates.sources", "not known", "kraken"),
    (WHOLE + '[rates]\nsources = ["kraken", "kraken"]', "rates.sources", "twice", "Remove"),
    (WHOLE + '[rates]\nmax_age = "1d"', "rates.max_age", "between 2m and 1h", "range"),
    (WHOLE + '[rates]\nurls = { mine = "https://r.example/{base}" }', "rates.urls.mine", "{quote}", "{base}/{quote}"),
    (
        WHOLE + '[rates]\nurls = { mine = "https://r.example/{base}/{quote}/{x}" }',
        "rates.urls.mine",
        "placeholder",
        "{q",
    ),
    (WHOLE + '[rates]\nurls = { mine = "ftp://r.example/{base}/{quote}" }', "rates.urls.mine", "http", "https"),
    (WHOLE + '[rates]\nurls = { kraken = "https://r.example/{base}/{quote}" }', "rates.urls.kraken", "own", "a-z"),
    (
        WHOLE + '[rates]\nsources = []\nurls = { mine = "https://r.example/{base}/{quote}" }',
        "rates.urls.mine",
        "not asked",
        "Add it",
    ),
    (WHOLE + '[rates]\nstatic = { "usdt/USD" = "0" }', 'rates.static."usdt/USD"', "zero", "price"),
    (WHOLE + '[rates]\nstatic = { "usdt/USD" = "nan" }', 'rates.static."usdt/USD"', "plain decimal", "quotes"),
    (WHOLE + '[rates]\nstatic = { "usdt/USD" = inf }', 'rates.static."usdt/USD"', "plain decimal", "quotes"),
    (WHOLE + '[rates]\nstatic = { usdt = "1" }', "rates.static.usdt", "pair", "usdt/USD"),
    (WHOLE + '[rates]\nstatic = { "a/USD" = 1, "A/usd" = 1 }', 'rates.static."A/usd"', "twice", "Remove"),
    (WHOLE + '[webhooks]\nallow = ["http://10.0.0.1"]', "webhooks.allow", "host:port", "8000"),
    (WHOLE + '[webhooks]\nallow = ["10.0.0.1:0"]', "webhooks.allow", "port 0", "port"),
]


@pytest.mark.parametrize(("toml", "key", "problem", "remedy"), TABLE)
def test_a_mistake_is_told_with_its_key_and_a_remedy(
    tmp_path: Path, toml: str, key: str, problem: str, remedy: str
) -> None:
    found = mistakes(tmp_path, toml)
    assert problem in found[key].problem
    assert remedy in found[key].remedy


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    toml = '[node]\nmode = "prod"\nport = 1\n[networks.shopchain]\nfamily = "evm"\n[invoices]\nexpires_in = 0\n'
    assert {
        "node.mode",
        "node.port",
        "networks.shopchain.chain_id",
        "networks.shopchain.rpc",
        "networks.shopchain.native",
        "networks.shopchain.confirmations",
        "networks.shopchain.treasury",
        "invoices.expires_in",
    } == set(mistakes(tmp_path, toml))


@pytest.mark.parametrize(
    ("toml", "key", "near"),
    [
        (WHOLE + "confirmation = 3", "networks.shopchain.confirmation", "confirmations"),
        (WHOLE.replace("listen", "lisen") + "[invoice]", "invoice", "invoices"),
        ('[node]\nmode = "test"\nlisten_on = ["127.0.0.1:1"]' + CHAIN, "node.listen_on", "listen"),
        (WHOLE + "sweep = { min_valu = 1 }", "networks.shopchain.sweep.min_valu", "min_value"),
        (WHOLE + "[invoices]\ntolerance.under = 1", "invoices.tolerance.under", "under_percent"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path, toml: str, key: str, near: str) -> None:
    assert f"`{near}`" in mistakes(tmp_path, toml)[key].remedy


def test_every_wrong_item_of_a_list_is_told(tmp_path: Path) -> None:
    toml = WHOLE.replace('"http://127.0.0.1:8545"', '"ftp://a", "http://b", "{x}"')
    problem = mistakes(tmp_path, toml)["networks.shopchain.rpc"].problem
    assert "item 1" in problem
    assert "item 2" not in problem
    assert "item 3" in problem


def test_our_own_remarks_in_presets_are_no_keys_for_merchants(tmp_path: Path) -> None:
    toml = NODE + ETH + f'treasury = "{TREASURY}"\ntestnet = true\n'
    assert set(mistakes(tmp_path, toml)) == {"networks.eth.testnet"}


def test_a_store_with_a_treasury_of_its_own_needs_none_on_the_network(tmp_path: Path) -> None:
    toml = WHOLE.replace(f'treasury = "{TREASURY}"', "") + f'[stores.a]\ntreasury.shopchain = "{OTHER_TREASURY}"'
    assert load(tmp_path, toml).treasury("a", "shopchain") == OTHER_TREASURY
    assert set(mistakes(tmp_path, toml + "\n[stores.b]\naccount = 1")) == {"networks.shopchain.treasury"}


@pytest.mark.parametrize(
    "content", [b"[node", b"\xff\xfe", b"a = 1\na = 2", b"a = " + b"[" * 9_999, b"a." * 9_999 + b"a = 1"]
)
def test_a_file_that_is_not_toml_is_one_mistake_of_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "paynode.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigMistakes) as caught:
        load_config(path, environ={})
    assert [mistake.key for mistake in caught.value.mistakes] == [""]


def test_a_config_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigMistakes, match="is not a file"):
            load_config(path, environ={})


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    load(tmp_path, WHOLE)
    path = tmp_path / "paynode.toml"
    path.write_text(WHOLE, "utf-8-sig")
    assert load_config(path, environ={}).node.mode == "test"


def test_a_missing_file_is_a_mistake_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigMistakes, match="init"):
        load_config(tmp_path / "none.toml", environ={})
