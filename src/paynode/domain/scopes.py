"""What an API key may do. Scopes that move money are never in the default set."""

STORE_SCOPES = frozenset(
    {
        "invoices:read",
        "invoices:write",
        "deposits:read",
        "deposits:write",
        "sweeps:read",
        "webhooks:read",
        "webhooks:write",
        "balances:read",
        "rates:read",
        "events:read",
        "store:read",
    }
)
NODE_SCOPES = frozenset({"node:read", "outflows:write"})  # of the node's owner only
DEFAULT_SCOPES = STORE_SCOPES
