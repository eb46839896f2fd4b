"""Names of chains and assets that are the same everywhere: CAIP-2 and CAIP-19 (https://chainagnostic.org)."""

from paynode.config import Family, Network
from paynode.domain.money import Asset

SLIP_44_ETHER = 60  # the coin type of every EVM chain without its own (https://github.com/satoshilabs/slips)
SLIP_44_TEST = 1  # all coins of test networks
_SLIP_44_BY_CHAIN_ID = {56: 714, 100: 700, 137: 966, 43_114: 9005}


def chain_id(network: Network) -> str:
    """The chain's CAIP-2 id; of a simulated one, a name in the same form."""
    match network.family:
        case Family.EVM:
            return f"eip155:{network.chain_id}"
        case Family.SIM:
            return f"sim:{network.name}"


def asset_id(network: Network, asset: Asset) -> str:
    """The asset's CAIP-19 id."""
    if asset.contract is not None:
        return f"{chain_id(network)}/erc20:{asset.contract}"
    if network.family is Family.SIM:
        return f"{chain_id(network)}/slip44:{SLIP_44_TEST}"
    coin_type = _SLIP_44_BY_CHAIN_ID.get(network.chain_id or 0, SLIP_44_ETHER)
    return f"{chain_id(network)}/slip44:{coin_type}"
