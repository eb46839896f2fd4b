"""Our own transactions on a simulated network: planned, signed, and read back from their bytes. Pure.

A signature is the hash of the signer's public key and the body. It proves nothing to an attacker, and there is
nothing to attack; it does tell a wrong key, and bytes that were changed.
"""

import hashlib
from typing import Annotated

import msgspec

from paynode.chains.base import Outgoing, PlannedTx, Refused, SignedTx, WouldRevert
from paynode.chains.sim.keys import address_of_public, public_key
from paynode.chains.sim.shapes import Move, Tx

_Units = Annotated[int, msgspec.Meta(ge=0)]


class Body(msgspec.Struct, frozen=True):
    """What is signed."""

    sender: str
    nonce: _Units
    recipient: str
    method: str
    units: _Units  # what the recipient gets
    fee_units: _Units
    empties_sender: bool  # a higher fee lowers `units`


class Signed(msgspec.Struct, frozen=True):
    """What is broadcast."""

    body: str
    public_key: str
    signature: str


def plan(wanted: Outgoing, nonce: int, fee_units: int) -> PlannedTx:
    """Raises `WouldRevert` if the fee would eat all that is to be moved."""
    units = wanted.units - fee_units if wanted.empties_sender else wanted.units
    if units <= 0:
        raise WouldRevert(f"the fee of {fee_units} units leaves nothing to move")
    body = Body(
        wanted.sender,
        nonce,
        wanted.recipient,
        wanted.asset.method,
        units,
        fee_units,
        empties_sender=wanted.empties_sender,
    )
    return _planned(body)


def with_fee(planned: PlannedTx, fee_units: int) -> PlannedTx:
    """The same transfer under the same nonce at another fee. Raises `WouldRevert` if it eats all."""
    body = msgspec.json.decode(planned.body, type=Body)
    units = body.units + body.fee_units - fee_units if body.empties_sender else body.units
    if units <= 0:
        raise WouldRevert(f"the fee of {fee_units} units leaves nothing to move")
    return _planned(msgspec.structs.replace(body, units=units, fee_units=fee_units))


def sign(planned: PlannedTx, private_key: bytes) -> SignedTx:
    public = public_key(private_key)
    signed = Signed(planned.body, public.hex(), _signature(public, planned.body))
    raw = msgspec.json.encode(signed)
    return SignedTx(raw, _hash(raw))


def read(raw: bytes) -> Tx:
    """The transaction in signed bytes.

    Raises:
        Refused: they are none, or somebody else signed them.
    """
    try:
        signed = msgspec.json.decode(raw, type=Signed)
        body = msgspec.json.decode(signed.body, type=Body)
        public = bytes.fromhex(signed.public_key)
    except ValueError as error:
        raise Refused(f"not a signed transaction: {error}") from None
    if signed.signature != _signature(public, signed.body):
        raise Refused("the signature does not match")
    if address_of_public(public) != body.sender:
        raise Refused(f"not signed by {body.sender}")
    moves = (Move(body.recipient, body.method, body.units),)
    return Tx(_hash(raw), body.sender, body.nonce, moves, body.fee_units, is_keyed=True)


def _planned(body: Body) -> PlannedTx:
    text = msgspec.json.encode(body).decode()
    return PlannedTx(body.sender, body.nonce, text, body.units, body.fee_units)


def _signature(public: bytes, body: str) -> str:
    return hashlib.sha256(public + body.encode()).hexdigest()


def _hash(raw: bytes) -> str:
    return "0x" + hashlib.sha256(raw).hexdigest()
