"""paynode: a merchant's own payment node."""

__version__ = "0.1.0"
