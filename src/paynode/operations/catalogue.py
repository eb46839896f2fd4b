"""What the node offers, as operations need it: methods, networks, invoice terms. Built once from the config."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from paynode.config import Branding, Config, Family, InvoiceDefaults, Mode, Network
from paynode.domain.money import Asset
from paynode.domain.screening import Policy

Derive = Callable[[str, int, int], str]  # family, account, index -> deposit address


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The enabled networks and what they can be paid in."""

    mode: Mode
    public_url: str
    networks: Mapping[str, Network]
    assets: Mapping[str, Asset]  # by method
    store_keys: Mapping[str, str]  # store id -> its name in the config
    method_numbers: Mapping[str, int]  # by method, those of methods that left the config too
    treasury_change_delay: timedelta
    config: Config

    def screening_policy(self, store_id: str) -> Policy:
        """What a store does about screening; one that left the config does what the others do."""
        key = self.store_keys.get(store_id)
        return self.config.screening.policy if key is None else self.config.stores[key].screening

    def is_screened(self, network: str) -> bool:
        """Whether somebody is asked about the senders of deposits on a network."""
        screening = self.config.screening
        is_asked = bool(screening.deny_files) or screening.provider is not None
        return is_asked or self.config.networks[network].sanctions_oracle is not None

    @property
    def is_live(self) -> bool:
        return self.mode is Mode.LIVE

    def family(self, network: str) -> Family:
        return self.networks[network].family

    def networks_of(self, family: Family) -> tuple[Network, ...]:
        return tuple(network for network in self.networks.values() if network.family is family)

    def native(self, network: str) -> Asset:
        return self.networks[network].assets[0]

    def methods_of(self, network: str) -> tuple[str, ...]:
        return tuple(asset.method for asset in self.networks[network].assets)

    def store_name(self, store_id: str) -> str:
        """What people call the store; one that left the config keeps its id."""
        key = self.store_keys.get(store_id)
        return store_id if key is None else self.config.stores[key].name

    def terms(self, store_id: str) -> InvoiceDefaults:
        """The terms of the store's invoices; of one that left the config, those of every store."""
        key = self.store_keys.get(store_id)
        return self.config.invoices if key is None else self.config.stores[key].invoices

    def branding(self, store_id: str) -> Branding:
        """What payers see of the store; nothing of one that left the config."""
        key = self.store_keys.get(store_id)
        return Branding(None, None, None) if key is None else self.config.stores[key].branding

    def payer_may_cancel(self, store_id: str) -> bool:
        """Whether the store lets payers withdraw what they have not begun to pay."""
        key = self.store_keys.get(store_id)
        return key is not None and self.config.stores[key].payer_may_cancel

    def allowed_origins(self, store_id: str) -> Sequence[str]:
        """Whose web pages may do what the store's payers may do, and show its checkout pages in a frame."""
        key = self.store_keys.get(store_id)
        return () if key is None else self.config.stores[key].allowed_origins

    def explorer_tx_url(self, network: str, tx_hash: str) -> str | None:
        explorer = self.networks[network].explorer if network in self.networks else None
        return f"{explorer}/tx/{tx_hash}" if explorer and tx_hash else None

    def explorer_address_url(self, network: str, address: str) -> str | None:
        explorer = self.networks[network].explorer if network in self.networks else None
        return f"{explorer}/address/{address}" if explorer else None


def build(config: Config, store_keys: Mapping[str, str], method_numbers: Mapping[str, int]) -> Catalogue:
    """The catalogue of `config`; `store_keys` and `method_numbers` are what the database knows of both."""
    networks = {network.name: network for network in config.enabled_networks}
    return Catalogue(
        mode=config.node.mode,
        public_url=config.node.public_url,
        networks=networks,
        assets={asset.method: asset for network in networks.values() for asset in network.assets},
        store_keys=store_keys,
        method_numbers=method_numbers,
        treasury_change_delay=config.custody.treasury_change_delay,
        config=config,
    )
