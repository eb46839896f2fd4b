"""[stores]: the shops that share this node, each with a branch of the key tree, and what of it is its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from paynode.config.evm import account_of, parse_account_xpub, parse_treasury
from paynode.config.mistakes import Wrong
from paynode.config.screening import read_policy, unscreened
from paynode.config.shapes import Branding, Custody, CustodyMode, InvoiceDefaults, Screening, Store
from paynode.config.table import Reading, Table
from paynode.config.terms import read_terms
from paynode.config.values import base_url, boolean, list_of, origin, text, whole

ACCOUNT_MAX = (1 << 31) - 1  # BIP-32: hardened indices

_STORE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_EMAIL = re.compile(r"[^@\s<>\"']{1,64}@[A-Za-z0-9.-]{1,190}")


def read_stores(
    top: Table,
    reading: Reading,
    custody: Custody,
    xpub: str | None,
    screening: Screening,
    unasked: Sequence[str],
    terms: InvoiceDefaults,
) -> Mapping[str, Store]:
    """The stores by id; a config that names none has `main`. `unasked` are the networks that have no oracle."""
    unasked = unscreened(screening, unasked)
    stores: dict[str, Store] = {}
    for store_id, table in top.table("stores").named_tables():
        if not _STORE_ID.fullmatch(store_id):
            table.note("", "is not a store's id", "Write up to 32 of a-z, 0-9, - and _")
        stores[store_id] = _store(store_id, table, custody, screening, unasked, terms)
    if not stores:
        stores["main"] = _store("main", Table({}, reading), custody, screening, unasked, terms)
    id_by_account: dict[int, str] = {}
    for store_id, each in stores.items():
        if (other := id_by_account.setdefault(each.account, store_id)) != store_id:
            remedy = "Give each store an account of its own: two on one would share addresses"
            reading.note(f"stores.{store_id}.account", f"is also that of stores.{other}", remedy)
    if custody.mode is CustodyMode.WATCH:
        return {store_id: _watched(store, xpub, reading) for store_id, store in stores.items()}
    return stores


def read_xpub(table: Table, mode: CustodyMode) -> str | None:
    """The extended public key that addresses are derived from, where this node holds no other."""
    with table.table("xpub") as xpub:
        if "evm" in xpub and mode is not CustodyMode.WATCH:
            problem = 'is only for custody.mode = "watch": this node derives addresses from its mnemonic'
            xpub.note("evm", problem, 'Remove it, or set custody.mode = "watch"')
        return xpub.optional("evm", parse_account_xpub, None)


def _store(
    store_id: str, table: Table, custody: Custody, screening: Screening, unasked: Sequence[str], terms: InvoiceDefaults
) -> Store:
    with table as store:
        return Store(
            id=store_id,
            name=store.optional("name", text, store_id),
            account=store.optional("account", whole(0, ACCOUNT_MAX), 0),
            treasuries=_treasuries(store),
            xpub_evm=read_xpub(store, custody.mode),
            payer_may_cancel=store.optional("payer_may_cancel", boolean, False),
            screening=read_policy(store.table("screening"), screening.policy, unasked),
            invoices=read_terms(store, terms),
            allowed_origins=store.optional("allowed_origins", list_of(origin), ()),
            branding=_branding(store),
        )


def _treasuries(store: Table) -> Mapping[str, str]:
    treasuries = {}
    own = store.table("treasury")
    for network, value in own.named_values():
        try:
            treasuries[network] = parse_treasury(value)
        except Wrong as wrong:
            own.note(network, wrong.problem, wrong.remedy)
    return MappingProxyType(treasuries)


def _branding(store: Table) -> Branding:
    with store.table("branding") as branding:
        return Branding(
            color=branding.optional("color", _color, None),
            support_url=branding.optional("support_url", base_url, None),
            support_email=branding.optional("support_email", _email, None),
        )


def _color(value: object) -> str:
    if not isinstance(value, str) or not _COLOR.fullmatch(value):
        raise Wrong("is not a colour", 'Write it like "#0b6e4f"')
    return value.lower()


def _email(value: object) -> str:
    if not isinstance(value, str) or not _EMAIL.fullmatch(value):
        raise Wrong("is not an e-mail address", 'Write it like "help@shop.example.com"')
    return value


def _watched(store: Store, xpub: str | None, reading: Reading) -> Store:
    """The store with its account's extended public key: its own, or for account 0 custody's."""
    is_own = store.xpub_evm is not None
    key = f"stores.{store.id}.xpub.evm" if is_own or store.account else "custody.xpub.evm"
    used = store.xpub_evm or (xpub if store.account == 0 else None)
    remedy = f"Export the extended public key of account {store.account}, m/44'/60'/{store.account}'"
    if used is None:
        reading.note(key, "is missing, and watch has no other way to addresses", remedy)
    elif account_of(used) != store.account:
        reading.note(key, f"is the key of account {account_of(used)}, not {store.account}", remedy)
    return replace(store, xpub_evm=used)
