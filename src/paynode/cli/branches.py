"""The branches of the key tree that the config's stores need: made by `init`, from then on read from the database."""

from collections.abc import Iterator, Sequence

from paynode.chains.sim import keys as sim_keys
from paynode.config import Config, ConfigMistakes, CustodyMode, Family, Mistake, Store
from paynode.domain.key_paths import gas_path
from paynode.operations.startup import Branch
from paynode.seed import Seed, load_seed

FIRST_ADDRESSES = 100  # of each branch; wallets show the first few


def branches(config: Config) -> list[Branch]:
    """One branch for each store in each chain family, disabled networks included.

    Raises:
        ConfigMistakes: the mnemonic's file cannot be used.
    """
    families = {network.family for network in config.networks.values()}
    seed = load_seed(config.custody) if Family.EVM in families else None
    return [_branch(family, store, config, seed) for family in sorted(families) for store in config.stores.values()]


def _branch(family: Family, store: Store, config: Config, seed: Seed | None) -> Branch:
    match family:
        case Family.SIM:
            return Branch(family, store.account, xpub="", gas_address=sim_keys.gas_address(store.account))
        case Family.EVM if config.custody.mode is CustodyMode.WATCH:
            assert store.xpub_evm is not None, "the config wants one under watch"
            return Branch(family, store.account, store.xpub_evm, gas_address="")
        case Family.EVM:
            assert seed is not None, "hot custody has a mnemonic"
            gas_address = seed.address(gas_path(store.account))
            return Branch(family, store.account, seed.account_xpub(store.account), gas_address)


def refuse_own_treasuries(config: Config, ours: Sequence[Branch]) -> None:
    """Refuse a treasury that is one of the first deposit addresses, or a gas station, of this very node.

    Whoever imports the mnemonic into a wallet sees the first deposit address as "account 1": money would go round.

    Raises:
        ConfigMistakes: naming each such treasury.
    """
    own = {address for branch in ours if branch.family is Family.EVM for address in _first_addresses(branch)}
    named = {f"networks.{name}.treasury": network.treasury for name, network in config.networks.items()} | {
        f"stores.{store.id}.treasury.{name}": treasury
        for store in config.stores.values()
        for name, treasury in store.treasuries.items()
    }
    remedy = "Name an address of a wallet with another mnemonic, which this node does not know"
    mistakes = [
        Mistake(key, "is an address of this node's own mnemonic or xpub", remedy)
        for key, treasury in named.items()
        if treasury in own
    ]
    if mistakes:
        raise ConfigMistakes(mistakes)


def _first_addresses(branch: Branch) -> Iterator[str]:
    from paynode.chains.evm.addresses import AddressDeriver

    deriver = AddressDeriver(branch.xpub)
    yield from (deriver.address_at(index) for index in range(FIRST_ADDRESSES))
    yield branch.gas_address
