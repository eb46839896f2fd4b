"""What an API key may do, and sets of it that have a name.

Scopes that move money, or that make keys, are in no set that somebody gets without asking for it.
"""

from collections.abc import Mapping

STORE_SCOPES = frozenset(
    {
        "invoices:read",
        "invoices:write",
        "deposits:read",
        "deposits:write",
        "sweeps:read",
        "sweeps:write",
        "webhooks:read",
        "webhooks:write",
        "balances:read",
        "rates:read",
        "events:read",
        "store:read",
        "store:write",
        "api_keys:write",
    }
)
NODE_SCOPES = frozenset({"node:read", "outflows:write"})  # of the node's owner only
PRIVILEGED = frozenset({"api_keys:write", "sweeps:write"})
DEFAULT_SCOPES = STORE_SCOPES - PRIVILEGED

PRESETS: Mapping[str, frozenset[str]] = {
    "shop": DEFAULT_SCOPES,
    "till": frozenset({"invoices:read", "invoices:write", "rates:read", "store:read"}),
    "read_only": frozenset(scope for scope in STORE_SCOPES if scope.endswith(":read")),
    "full": STORE_SCOPES,
}
