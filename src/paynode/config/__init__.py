"""The config file, read once into frozen values: `load_config` is the way in, `ConfigMistakes` the way out."""

from paynode.config.evm import checksum_address
from paynode.config.load import load_config
from paynode.config.mistakes import ConfigMistakes, Mistake, Wrong
from paynode.config.secrets import RpcUrl, Secret, SecretFile
from paynode.config.shapes import (
    Branding,
    Config,
    Custody,
    CustodyMode,
    DenyFile,
    Family,
    InvoiceDefaults,
    LatePayment,
    Mode,
    NativeCoin,
    Network,
    Node,
    Rates,
    RateSource,
    Screening,
    ScreeningProvider,
    Store,
    SweepLimits,
    Token,
)

__all__ = [
    "Branding",
    "Config",
    "ConfigMistakes",
    "Custody",
    "CustodyMode",
    "DenyFile",
    "Family",
    "InvoiceDefaults",
    "LatePayment",
    "Mistake",
    "Mode",
    "NativeCoin",
    "Network",
    "Node",
    "RateSource",
    "Rates",
    "RpcUrl",
    "Screening",
    "ScreeningProvider",
    "Secret",
    "SecretFile",
    "Store",
    "SweepLimits",
    "Token",
    "Wrong",
    "checksum_address",
    "load_config",
]
