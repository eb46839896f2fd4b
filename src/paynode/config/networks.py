"""The networks of a config: what `presets.toml` knows, overridden by what the merchant wrote, checked for slips.

A token the merchant writes replaces the preset's of that symbol whole: decimals of one contract must never be
used with another.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from importlib.resources import files
from types import MappingProxyType

from Crypto.Hash import keccak

from paynode.config.evm import checksum_address, parse_address, parse_token, parse_treasury
from paynode.config.mistakes import Wrong
from paynode.config.secrets import Credentials, RpcUrl, numbered
from paynode.config.shapes import Family, Mode, NativeCoin, Network, SweepLimits, Token
from paynode.config.table import Reading, Table
from paynode.config.values import base_url, boolean, decimal, duration, list_of, one_of, price, whole
from paynode.domain.budget import CALLS_PER_DAY_MIN, CALLS_PER_SECOND_MIN, Budget
from paynode.domain.depth import Tier
from paynode.domain.money import NotAnAmount, to_units

CHAIN_ID_MAX = (1 << 53) - 1  # JavaScript's safe integers: wallets read it from a payment link
DECIMALS_MAX = 36
CONFIRMATIONS_MAX = 2_000
REORG_HORIZON_MAX = 8_191  # as far as a contract can look back: https://eips.ethereum.org/EIPS/eip-2935
REORG_HORIZON = 64
TICK_SECONDS = 15
GWEI_DECIMALS = 9
RESERVED_NAMES = ("all", "stables")  # groups of payment methods, such as `all` or `eth_stables`

SIM_TREASURY = "sim1" + "7e" * 20  # an address of the simulation that nobody needs the key of

_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")  # no underscore: a method is `network_symbol`
_SYMBOL = re.compile(r"[a-z0-9]{1,16}")
_SIM: Mapping[str, object] = {
    "family": "sim",
    "native": {"symbol": "sim", "decimals": 18},
    "tokens": {"usdt": {"decimals": 6, "stable": True}},
    "confirmations": 2,
    "tick_seconds": 1,  # its blocks cost nothing to look at
}


def presets() -> dict[str, dict[str, object]]:
    """What `presets.toml` says, by network."""
    return tomllib.loads(files("paynode").joinpath("presets.toml").read_text("utf-8"))


def read_networks(top: Table, reading: Reading, mode: Mode | None, credentials: Credentials) -> dict[str, Network]:
    """The networks under `[networks]`, by name."""
    known = presets()
    networks = {}
    found = list(top.table("networks").named_tables())
    for name, table in found:
        if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
            table.note("", "is not a network's name", "Write up to 16 of a-z and 0-9, a letter first, e.g. shopchain")
        preset = known.get(name, {})
        is_sim = table.holds("family", Family.SIM) or (mode is Mode.SIM and "family" not in table and not preset)
        defaults = _SIM if is_sim else _without_notes(preset)
        with table.over(defaults) as merged:
            networks[name] = _network(name, merged, preset, mode, credentials)
    if mode is Mode.SIM and not found:
        with Table(_SIM, Reading()) as table:
            return {"sim": _network("sim", table, {}, mode, credentials)}
    if not found:
        reading.note("networks", "names no network", 'Write e.g. [networks.polygon] with rpc = ["https://..."]')
    elif not any(network.is_enabled for network in networks.values()):
        reading.note("networks", "has every network disabled", "Remove `enabled = false` from one of them")
    _check_chain_ids(networks, reading)
    return networks


def _network(
    name: str, table: Table, preset: Mapping[str, object], mode: Mode | None, credentials: Credentials
) -> Network:
    """One network; with mistakes noted it has stand-ins for what is missing, so that the checks that follow see it."""
    family = table.required("family", one_of(Family), 'Write family = "evm", or use a preset\'s name')
    is_evm = family is not Family.SIM
    if mode is not None and family is not None and is_evm is (mode is Mode.SIM):
        table.note("family", *_family_mismatch(is_evm=is_evm))
    if preset.get("testnet") and mode is Mode.LIVE:
        table.note("", "is a test network: anybody pays there with free coins", 'Set node.mode = "test", or remove it')
    chain_id: int | None = None
    urls: tuple[RpcUrl, ...] = ()
    if is_evm:
        chain_id = table.required("chain_id", whole(1, CHAIN_ID_MAX), "Write the network's chain id, e.g. 1")
        if mode is Mode.LIVE and chain_id is not None and chain_id != preset.get("chain_id", chain_id):
            table.note("chain_id", "is not this preset's", "Remove it, or give your network a name of its own")
        remedy = 'Name a provider: rpc = ["https://rpc.example.com/{credential:rpc_key}"]; two or more are safer'
        read_urls = table.required("rpc", list_of(credentials.rpc_url, length_max=10), remedy)
        if read_urls == ():
            table.note("rpc", "names no provider", remedy)
        urls = numbered(read_urls or ())
    treasury = table.optional("treasury", parse_treasury, None) if is_evm else SIM_TREASURY
    remedy = "Write after how many blocks a payment counts, e.g. 12"
    confirmations = table.required("confirmations", whole(1, CONFIRMATIONS_MAX), remedy)
    tiers = _confirmations_from(table, confirmations)
    deepest = max([confirmations or 0, *(tier.confirmations for tier in tiers)])
    reorg_horizon = table.optional("reorg_horizon", whole(1, REORG_HORIZON_MAX), max(REORG_HORIZON, deepest))
    if confirmations is not None and reorg_horizon < deepest:
        problem = "is below confirmations: a payment could still count when its block can no longer be undone"
        table.note("reorg_horizon", problem, "Write at least as many blocks as confirmations")
    tick_seconds = table.optional("tick_seconds", whole(1, 600), TICK_SECONDS)
    native = _native(table)
    tokens = _tokens(name, table, native, is_evm=is_evm)
    explorer = table.optional("explorer", base_url, None)
    oracle = table.optional("sanctions_oracle", parse_address, None) if is_evm else None
    sweep = _sweep(table, native)
    budget = _budget(table)
    is_enabled = table.optional("enabled", boolean, True)
    return Network(
        name=name,
        family=family or Family.EVM,
        chain_id=chain_id,
        rpc=urls,
        treasury=treasury,
        confirmations=confirmations or 1,
        confirmations_from=tiers,
        reorg_horizon=reorg_horizon,
        tick_seconds=tick_seconds,
        native=native or NativeCoin("", 0),
        tokens=MappingProxyType(tokens),
        explorer=explorer,
        sanctions_oracle=oracle,
        sweep=sweep,
        budget=budget,
        is_enabled=is_enabled,
    )


def _family_mismatch(*, is_evm: bool) -> tuple[str, str]:
    if is_evm:
        return "is a real chain, which a simulated node does not touch", 'Set node.mode = "test" or "live"'
    return "is a simulation, whose money does not exist", 'Set node.mode = "sim", or remove this network'


def _native(table: Table) -> NativeCoin | None:
    if "native" not in table:
        table.note("native", "is missing", 'Write native = { symbol = "eth", decimals = 18 }')
    with table.table("native") as native:
        if "native" not in table:
            return None
        symbol = native.required("symbol", _symbol, 'Write the coin\'s symbol, e.g. "eth"')
        decimals = native.required("decimals", whole(0, DECIMALS_MAX), "Write the coin's decimals, mostly 18")
    return None if symbol is None or decimals is None else NativeCoin(symbol, decimals)


def _tokens(network: str, table: Table, native: NativeCoin | None, *, is_evm: bool) -> dict[str, Token]:
    tokens: dict[str, Token] = {}
    symbol_by_contract: dict[str, str] = {}
    for symbol, written in table.table("tokens").named_tables():
        with written as token:
            remedy = "Copy the token's contract from its issuer's own page"
            if is_evm:
                contract = token.required("contract", parse_token, remedy)
            else:
                contract = token.optional("contract", parse_address, _sim_contract(network, symbol))
            decimals = token.required("decimals", whole(0, DECIMALS_MAX), "Write the contract's decimals, e.g. 6")
            is_stable = token.optional("stable", boolean, False)
        try:
            _symbol(symbol)
        except Wrong as wrong:
            token.note("", wrong.problem, wrong.remedy)
        if native is not None and symbol == native.symbol:
            token.note("", "has the native coin's symbol", "Give the token a symbol of its own, e.g. weth")
        if contract is not None and (other := symbol_by_contract.setdefault(contract, symbol)) != symbol:
            token.note(
                "contract", f"is also that of {other}", "Remove one of the two: a payment can only be one token's"
            )
        if contract is not None and decimals is not None:
            tokens[symbol] = Token(contract, decimals, is_stable)
    return tokens


def _sim_contract(network: str, symbol: str) -> str:
    """An address for a token that exists in no chain, always the same."""
    return checksum_address(keccak.new(digest_bits=256, data=f"{network}_{symbol}".encode()).digest()[-20:])


def _sweep(table: Table, native: NativeCoin | None) -> SweepLimits:
    native_decimals = DECIMALS_MAX if native is None else native.decimals
    with table.table("sweep") as sweep:
        fee_gwei = sweep.optional("max_fee_gwei", decimal(Decimal(0), Decimal(10**9), GWEI_DECIMALS), None)
        return SweepLimits(
            min_value=sweep.optional("min_value", price, None),
            fee_price_max=None if fee_gwei is None else to_units(fee_gwei, GWEI_DECIMALS),
            every=sweep.optional("every", duration(timedelta(0), timedelta(days=30)), timedelta(hours=1)),
            gas_budget_units=sweep.optional("gas_budget_per_day", partial(_native_units, native_decimals), None),
        )


def _confirmations_from(table: Table, usual: int | None) -> tuple[Tier, ...]:
    """From which amounts on more confirmations are needed than usual."""
    tiers: list[Tier] = []
    with table.table("confirmations_from") as written:
        for name, value in written.named_values():
            try:
                tier = Tier(price(name), whole(1, CONFIRMATIONS_MAX)(value))
            except Wrong as wrong:
                written.note(name, wrong.problem, wrong.remedy)
                continue
            smaller = [other for other in tiers if other.amount.currency == tier.amount.currency]
            least = max([usual or 0, *(other.confirmations for other in smaller)])
            if tier.confirmations <= least or any(other.amount.amount >= tier.amount.amount for other in smaller):
                problem = "is not more, or asks for no more confirmations, than what stands before it"
                written.note(name, problem, "Write amounts in rising order, each with more confirmations")
            tiers.append(tier)
    return tuple(tiers)


def _budget(table: Table) -> Budget:
    with table.table("budget") as budget:
        return Budget(
            calls_per_day=budget.optional("calls_per_day", whole(CALLS_PER_DAY_MIN, 10**9), None),
            calls_per_second=budget.optional("calls_per_second", whole(CALLS_PER_SECOND_MIN, 10**4), None),
        )


def _native_units(decimals: int, value: object) -> int:
    amount = decimal(Decimal(0), Decimal(10**12))(value)
    try:
        return to_units(amount, decimals)
    except NotAnAmount as error:
        raise Wrong(str(error), "Write fewer decimals") from None


def _symbol(value: object) -> str:
    if not isinstance(value, str) or not _SYMBOL.fullmatch(value) or value in RESERVED_NAMES:
        raise Wrong("is not a symbol", "Write up to 16 of a-z and 0-9, e.g. usdt")
    return value


def _check_chain_ids(networks: Mapping[str, Network], reading: Reading) -> None:
    name_by_chain_id: dict[int, str] = {}
    for name, network in networks.items():
        if network.chain_id is None:
            continue
        if (other := name_by_chain_id.setdefault(network.chain_id, name)) != name:
            remedy = "Remove one of the two: money on one chain must not be counted twice"
            reading.note(f"networks.{name}.chain_id", f"is also that of networks.{other}", remedy)


def _without_notes(preset: Mapping[str, object]) -> dict[str, object]:
    """The preset as a merchant could have written it: without our own remarks."""
    plain = {key: value for key, value in preset.items() if key != "testnet"}
    tokens = plain.get("tokens", {})
    assert isinstance(tokens, dict), "presets.toml is ours"
    plain["tokens"] = {
        symbol: {key: value for key, value in token.items() if key != "confirmed_by"}
        for symbol, token in tokens.items()
    }
    return plain
