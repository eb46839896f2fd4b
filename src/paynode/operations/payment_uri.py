"""Payment URIs that wallets open, and what a QR code carries."""

from paynode.config import Family, Network
from paynode.domain.money import Asset


def payment_uri(network: Network, asset: Asset, address: str, units: int | None) -> str:
    """What a link should carry for this payment; without `units` the payer decides how much.

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


def qr_text(network: Network, asset: Asset, address: str, units: int | None, *, with_amount: bool) -> str:
    """What a QR code should say: of a native coin the payment's URI, of a token the address and nothing else.

    A token's amount is in it only if the payer asks for that (`with_amount`), whose wallet then reads EIP-681.
    """
    if asset.contract is None:
        return payment_uri(network, asset, address, units)
    if not with_amount or units is None:
        return address
    match network.family:
        case Family.EVM:
            call = f"{asset.contract}@{network.chain_id}/transfer?address={address}&uint256={units}"
            return f"ethereum:{call}"
        case Family.SIM:
            return payment_uri(network, asset, address, units)
