"""What a good config becomes."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from tests.config.toml import NODE, OTHER_TREASURY, TOKEN, TREASURY, WHOLE, XPUBS, load

from paynode.config import Branding, CustodyMode, Family, LatePayment, Mode, NativeCoin, Token
from paynode.domain.addresses import AddressMode, AddressPolicy
from paynode.domain.budget import Budget
from paynode.domain.invoice import Tolerance
from paynode.domain.money import Asset
from paynode.domain.quote import Price


def test_defaults_are_those_of_the_example(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    assert config.node.listen == ("127.0.0.1:8080",)
    assert config.node.public_url == "http://127.0.0.1:8080"
    assert config.node.data_dir == Path("/var/lib/paynode")
    assert config.custody.mode is CustodyMode.HOT
    assert config.custody.treasury_change_delay == timedelta(hours=24)
    assert config.invoices.expires_in == timedelta(minutes=30)
    assert config.invoices.late_payment is LatePayment.REVIEW
    assert list(config.stores) == ["main"]
    network = config.networks["shopchain"]
    assert (network.reorg_horizon, network.tick_seconds, network.is_enabled) == (64, 15, True)
    assert network.sweep.min_value is None
    assert network.budget == Budget()
    assert config.static_rates == {}
    assert config.webhook_allow == ()


def test_a_preset_needs_only_providers_and_a_treasury(tmp_path: Path) -> None:
    toml = f'[node]\nmode = "live"\n[networks.polygon]\nrpc = ["https://a.example"]\ntreasury = "{TREASURY}"'
    network = load(tmp_path, toml).networks["polygon"]
    assert network.chain_id == 137
    assert network.native == NativeCoin("pol", 18)
    assert [asset.method for asset in network.assets] == [
        "polygon_pol",
        "polygon_usdt",
        "polygon_usdc",
        "polygon_eth",
    ]
    assert network.assets[1].is_stable
    assert network.sweep.gas_budget_units == 20 * 10**18


def test_what_the_merchant_writes_wins_over_the_preset_key_by_key_and_token_by_token(tmp_path: Path) -> None:
    toml = (
        NODE
        + f"""
[networks.eth]
rpc = ["https://a.example"]
treasury = "{TREASURY}"
confirmations = 30
tokens.usdt = {{ contract = "{TOKEN}", decimals = 8 }}
sweep = {{ min_value = "20 USD", max_fee_gwei = "1.5" }}
"""
    )
    network = load(tmp_path, toml).networks["eth"]
    assert network.confirmations == 30
    assert network.tokens["usdt"] == Token(TOKEN, 8, is_stable=False)
    assert network.tokens["usdc"].decimals == 6
    assert network.sweep.min_value == Price(Decimal(20), "USD")
    assert network.sweep.fee_price_max == 1_500_000_000
    assert network.sweep.gas_budget_units == 5 * 10**16


def test_a_simulated_node_needs_its_mode_and_nothing_else(tmp_path: Path) -> None:
    config = load(tmp_path, '[node]\nmode = "sim"', mnemonic_mode=None)
    assert config.node.mode is Mode.SIM
    assert config.custody.mnemonic is None
    network = config.networks["sim"]
    assert network.family is Family.SIM
    assert network.chain_id is None
    assert network.assets[0] == Asset("sim", "sim", 18, contract=None)
    assert network.assets[1].method == "sim_usdt"
    assert (network.assets[1].decimals, network.assets[1].is_stable) == (6, True)


def test_a_simulated_network_of_another_name_has_the_same_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, '[node]\nmode = "sim"\n[networks.fake]\nfamily = "sim"\nconfirmations = 5')
    assert config == load(tmp_path, '[node]\nmode = "sim"\n[networks.fake]\nconfirmations = 5')
    assert config.networks["fake"].confirmations == 5
    assert config.networks["fake"].tokens["usdt"].contract.startswith("0x")


def test_watch_takes_each_stores_own_extended_public_key(tmp_path: Path) -> None:
    toml = (
        WHOLE.replace(f'treasury = "{TREASURY}"', "")
        + f"""
[custody]
mode = "watch"
xpub.evm = "{XPUBS[0]}"
[stores.first]
[stores.second]
account = 1
xpub.evm = "{XPUBS[1]}"
"""
    )
    config = load(tmp_path, toml, mnemonic_mode=None)
    assert [store.xpub_evm for store in config.stores.values()] == list(XPUBS)
    assert config.custody.mnemonic is None
    assert config.treasury("first", "shopchain") is None


def test_a_stores_treasury_wins_over_the_networks(tmp_path: Path) -> None:
    toml = WHOLE + f'[stores.a]\ntreasury.shopchain = "{OTHER_TREASURY}"\n[stores.b]\naccount = 1'
    config = load(tmp_path, toml)
    assert config.treasury("a", "shopchain") == OTHER_TREASURY
    assert config.treasury("b", "shopchain") == TREASURY


def test_numbers_are_what_was_written_and_never_binary_floats(tmp_path: Path) -> None:
    toml = WHOLE + '[rates]\nstatic = { "usdt/USD" = 0.1, "ETH/eur" = "2000.123456789012345678" }'
    rates = load(tmp_path, toml).static_rates
    assert rates == {("usdt", "USD"): Decimal("0.1"), ("eth", "EUR"): Decimal("2000.123456789012345678")}


def test_a_live_node_asks_every_exchange_and_url_and_others_only_the_urls(tmp_path: Path) -> None:
    urls = '[rates]\nurls = { mine = "https://rates.example/{base}/{quote}?key={credential:rates_key}" }\n'
    (tmp_path / "rates_key").write_text("sesame")
    (tmp_path / "rates_key").chmod(0o600)
    live = WHOLE.replace('mode = "test"', 'mode = "live"')

    def asked(toml: str) -> list[str]:
        return [source.name for source in load(tmp_path, toml).rates.sources]

    assert asked(live) == ["kraken", "coinbase", "binance"]
    assert asked(live + urls) == ["kraken", "coinbase", "binance", "mine"]
    assert asked(live + "[rates]\nsources = []") == []
    assert asked(WHOLE) == []
    assert asked(WHOLE + urls) == ["mine"]
    assert asked(WHOLE + urls + 'sources = ["coinbase", "mine"]') == ["coinbase", "mine"]
    rates = load(tmp_path, WHOLE + urls + 'max_age = "10m"').rates
    assert rates.age_max == timedelta(minutes=10)
    (mine,) = rates.sources
    assert mine.url is not None
    assert mine.url.reveal() == "https://rates.example/{base}/{quote}?key=sesame"
    assert "sesame" not in repr(rates)


def test_addresses_to_listen_on_and_to_allow_are_written_one_way(tmp_path: Path) -> None:
    toml = '[node]\nmode = "sim"\nlisten = ["[::1]:0", "localhost:80"]\npublic_url = "https://pay.example.com/"\n'
    config = load(tmp_path, toml + '[webhooks]\nallow = ["SHOP.lan:8000", "[fd00::1]:80"]')
    assert config.node.listen == ("[::1]:0", "localhost:80")
    assert config.node.public_url == "https://pay.example.com"
    assert config.webhook_allow == ("shop.lan:8000", "[fd00::1]:80")


def test_a_store_says_what_is_different_for_its_invoices_and_how_it_looks(tmp_path: Path) -> None:
    toml = (
        WHOLE
        + """
[invoices]
currency = "USD"
expires_in = "20m"
tolerance = { under_percent = "1", over_percent = "2" }
address_policy = { mode = "reuse", rest = "1d" }
[stores.other]
account = 1
allowed_origins = ["https://shop.example.com", "http://127.0.0.1:3000"]
branding = { color = "#0B6E4F", support_url = "https://shop.example.com/help/", support_email = "help@example.com" }
[stores.other.invoices]
currency = "EUR"
expires_in = "2h"
tolerance = { under_percent = "3" }
address_policy = { mode = "fresh" }
[stores.plain]
account = 2
"""
    )
    config = load(tmp_path, toml)
    other, plain = config.stores["other"], config.stores["plain"]
    assert plain.invoices == config.invoices
    assert (plain.invoices.currency, other.invoices.currency) == ("USD", "EUR")
    assert (other.invoices.expires_in, other.invoices.quote_valid_for) == (timedelta(hours=2), timedelta(minutes=15))
    assert other.invoices.tolerance == Tolerance(Decimal(3), Decimal(2))
    assert other.invoices.address_policy == AddressPolicy(AddressMode.FRESH)
    assert other.allowed_origins == ("https://shop.example.com", "http://127.0.0.1:3000")
    assert other.branding == Branding("#0b6e4f", "https://shop.example.com/help", "help@example.com")
    assert plain.branding == Branding(None, None, None)
