"""Payment URIs that wallets open."""

from paynode.config import Family, Network
from paynode.domain.money import Asset


def payment_uri(network: Network, asset: Asset, address: str, units: int | None) -> str:
    """What a QR code or a link should carry for this payment; without `units` the payer decides how much.

    EIP-681 (https://eips.ethereum.org/EIPS/eip-681) for native coins. A token gets its bare address: wallets
    misread EIP-681 token URIs, pay the contract instead, and the money is gone.
    """
    match network.family:
        case Family.EVM:
            if asset.contract is not None or units is None:
                return f"ethereum:{address}@{network.chain_id}"
            return f"ethereum:{address}@{network.chain_id}?value={units}"
        case Family.SIM:
            amount = "" if units is None else f"&units={units}"
            return f"sim:{address}?asset={asset.symbol}{amount}"
