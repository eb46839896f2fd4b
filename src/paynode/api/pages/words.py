"""Things as payers call them: networks, coins, moments, and how long is left."""

from collections.abc import Mapping
from datetime import datetime

NETWORKS: Mapping[str, str] = {
    "eth": "Ethereum",
    "polygon": "Polygon",
    "bnb": "BNB Chain",
    "base": "Base",
    "arbitrum": "Arbitrum One",
    "optimism": "OP Mainnet",
    "avalanche": "Avalanche C-Chain",
    "gnosis": "Gnosis Chain",
    "sepolia": "Sepolia (test network)",
    "amoy": "Polygon Amoy (test network)",
    "sim": "Simulation",
}


def network_words(name: str) -> str:
    """The name that wallets show for a network; of one that the config describes, its own."""
    return NETWORKS.get(name, name.capitalize())


def moment_words(text: str, now: datetime) -> str:
    """A moment of the API's, to the minute and with its zone; the day only if it is another."""
    at = datetime.fromisoformat(text)
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at.day} {at:%B %Y, %H:%M} UTC"


def left_words(seconds: int) -> str:
    """About how long: nobody needs a page's seconds."""
    if seconds < 60:
        return "less than a minute left"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} minute{'s'[: minutes > 1]} left"
    hours = minutes // 60
    return f"{hours} hours left" if hours < 48 else f"{hours // 24} days left"


def web_link(url: str | None) -> str | None:
    """The URL, if a page may link to it."""
    return url if url is not None and url.lower().startswith(("https://", "http://")) else None
