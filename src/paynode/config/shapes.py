"""The config as the rest of the node sees it: read once, typed, frozen. `config.example.toml` explains every key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from paynode.config.secrets import RpcUrl, Secret, SecretFile
from paynode.config.values import IPNetwork
from paynode.domain.addresses import AddressPolicy
from paynode.domain.budget import Budget
from paynode.domain.depth import Tier
from paynode.domain.invoice import Tolerance
from paynode.domain.money import Asset
from paynode.domain.quote import Price
from paynode.domain.screening import Policy


class Mode(StrEnum):
    """What the node's money is worth; API keys carry it in their prefix."""

    LIVE = "live"  # real money
    TEST = "test"  # real chains, worthless coins
    SIM = "sim"  # a chain inside the process


class Family(StrEnum):
    """Which adapter speaks to a network."""

    EVM = "evm"
    SIM = "sim"


class CustodyMode(StrEnum):
    """Who holds the keys to the deposit addresses."""

    HOT = "hot"  # this node: it collects by itself
    WATCH = "watch"  # the merchant: this node only sees


class LatePayment(StrEnum):
    """What happens to an expired invoice that is paid after all."""

    REVIEW = "review"  # it stays expired until the merchant accepts it
    ACCEPT = "accept"  # it becomes paid


@dataclass(frozen=True, slots=True)
class Node:
    mode: Mode
    data_dir: Path
    listen: tuple[str, ...]  # "host:port", as hypercorn binds them
    public_url: str  # without a slash at its end
    trusted_proxies: tuple[IPNetwork, ...]

    @property
    def database(self) -> Path:
        """The one file that holds everything; its -wal and -shm files lie beside it."""
        return self.data_dir / "paynode.db"


@dataclass(frozen=True, slots=True)
class Custody:
    mode: CustodyMode
    mnemonic: SecretFile | None  # None: watch, or a simulation that brings its own
    treasury_change_delay: timedelta


@dataclass(frozen=True, slots=True)
class NativeCoin:
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Token:
    contract: str
    decimals: int
    is_stable: bool


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """When collecting is worth it; None: no limit of that kind."""

    min_value: Price | None
    fee_price_max: int | None  # wei per unit of gas
    every: timedelta
    gas_budget_units: int | None  # of the native coin, per day


@dataclass(frozen=True, slots=True)
class Network:
    name: str
    family: Family
    chain_id: int | None  # None: a simulation has none
    rpc: tuple[RpcUrl, ...]  # in the order they are asked
    treasury: str | None  # for stores that name none of their own
    confirmations: int
    confirmations_from: tuple[Tier, ...]  # more of them where more is at stake
    reorg_horizon: int
    tick_seconds: int  # upper bound while invoices are open
    native: NativeCoin
    tokens: Mapping[str, Token]  # by symbol
    explorer: str | None  # without a slash at its end
    sanctions_oracle: str | None  # a contract that lists addresses
    sweep: SweepLimits
    budget: Budget  # of each provider
    is_enabled: bool

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What the network can be paid in: the native coin, then its tokens."""
        native = Asset(self.name, self.native.symbol, self.native.decimals, contract=None)
        tokens = (
            Asset(self.name, symbol, token.decimals, token.contract, token.is_stable)
            for symbol, token in self.tokens.items()
        )
        return (native, *tokens)


@dataclass(frozen=True, slots=True)
class Branding:
    """What payers see of a store beside its name."""

    color: str | None  # "#rrggbb"
    support_url: str | None
    support_email: str | None


@dataclass(frozen=True, slots=True)
class Store:
    id: str
    name: str
    account: int  # its branch of the HD tree
    treasuries: Mapping[str, str]  # by network; only those that differ from the network's
    xpub_evm: str | None  # of its account, under watch
    payer_may_cancel: bool  # from the checkout page, before any money came
    allowed_origins: tuple[str, ...]  # of the web pages that may do what payers may do, and frame its checkout pages
    screening: Policy
    invoices: "InvoiceDefaults"
    branding: Branding


@dataclass(frozen=True, slots=True)
class PayerAddresses:
    """How many addresses payers may have issued and leave unpaid."""

    per_client_hour: int
    per_store_day: int


@dataclass(frozen=True, slots=True)
class InvoiceDefaults:
    currency: str | None  # None: each invoice must name it
    expires_in: timedelta
    monitor_for: timedelta
    quote_valid_for: timedelta
    late_payment: LatePayment
    tolerance: Tolerance
    address_policy: AddressPolicy
    payer_addresses: PayerAddresses


@dataclass(frozen=True, slots=True)
class RateSource:
    """Who is asked what coins cost."""

    name: str
    url: Secret | None  # of the merchant's own, with {base} and {quote} in it; None: an exchange we know


@dataclass(frozen=True, slots=True)
class Rates:
    """Where live rates come from, and how old one may be that a price is locked with."""

    sources: tuple[RateSource, ...]
    age_max: timedelta


@dataclass(frozen=True, slots=True)
class DenyFile:
    """A file of addresses that money is not taken from."""

    name: str  # as the config writes it
    path: Path


@dataclass(frozen=True, slots=True)
class ScreeningProvider:
    """A service that is asked about addresses."""

    name: str  # its host, which may be shown
    url: Secret  # with {address} in it, and perhaps {network}
    headers: Mapping[str, Secret]


@dataclass(frozen=True, slots=True)
class Screening:
    """Who is asked about the senders of deposits, and what becomes of what they say."""

    deny_files: tuple[DenyFile, ...]
    provider: ScreeningProvider | None
    age_max: timedelta | None  # of those files; None: they are never too old
    policy: Policy  # of stores that say nothing else


@dataclass(frozen=True, slots=True)
class Config:
    path: Path
    node: Node
    custody: Custody
    networks: Mapping[str, Network]  # by name, disabled ones included
    stores: Mapping[str, Store]  # by id
    invoices: InvoiceDefaults
    rates: Rates
    static_rates: Mapping[tuple[str, str], Decimal]  # (symbol, lower case; currency, upper case) -> price of one whole
    webhook_allow: tuple[str, ...]  # "host:port"
    screening: Screening

    @property
    def enabled_networks(self) -> tuple[Network, ...]:
        return tuple(network for network in self.networks.values() if network.is_enabled)

    def treasury(self, store: str, network: str) -> str | None:
        """Where this store's money on this network is collected; None: nowhere (watch or simulation)."""
        return self.stores[store].treasuries.get(network) or self.networks[network].treasury
