"""Payment methods as callers name them: one by one, in groups, and with a leading `-` all but those.

all, stables, {network}_all, {network}_stables

A number means the method that has it, wherever a method is named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from msgspec import Meta

from paynode.api.body import pointer, shown
from paynode.domain.errors import FieldProblem
from paynode.domain.money import Asset
from paynode.operations.catalogue import Catalogue

MethodName = Annotated[str, Meta(max_length=100)]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chosen:
    methods: Sequence[str]
    only_in_groups: frozenset[str]  # those that no name means alone


def named(catalogue: Catalogue, name: str | int) -> str:
    """The name of a method that may be called by its number."""
    text = str(name)
    return next((method for method, number in catalogue.method_numbers.items() if str(number) == text), text)


def by_method(
    catalogue: Catalogue, field: str, written: Mapping[str, T], offered: Sequence[str], problems: list[FieldProblem]
) -> Iterator[tuple[str, str, T]]:
    """Each entry of a map whose keys are methods, as the method's name, its pointer and its value.

    Keys that mean none of those offered (where none is named, all are), or one again, are added to `problems`.
    """
    seen: set[str] = set()
    for key, value in written.items():
        method, where = named(catalogue, key), pointer(field, key)
        if method not in catalogue.assets:
            problems.append(_unknown(where, key))
        elif offered and method not in offered:
            detail = "The invoice does not offer this payment method: name it in methods, or leave it out here."
            problems.append(FieldProblem(where, "conflicting", detail))
        elif method in seen:
            detail = f"{shown(method)} is here twice, by its name and by its number: give one."
            problems.append(FieldProblem(where, "conflicting", detail))
        seen.add(method)
        yield method, where, value


def chosen(catalogue: Catalogue, names: Sequence[str], problems: list[FieldProblem], field: str = "methods") -> Chosen:
    """The methods that `names` mean, in the order they are named; of exclusions alone, all others.

    What cannot be is added to `problems`.
    """
    assets = catalogue.assets
    names = [f"{sign}{named(catalogue, name)}" for sign, name in map(_split, names)]
    wanted: dict[str, None] = {}
    excluded: set[str] = set()
    for position, name in enumerate(names):
        members = _members(assets, name.removeprefix("-"))
        if not members:
            problems.append(_unknown(pointer(field, position), name))
        elif name.startswith("-"):
            excluded |= set(members)
        else:
            wanted |= dict.fromkeys(members)
    if all(name.startswith("-") for name in names):
        wanted = dict.fromkeys(assets)
    kept = [method for method in wanted if method not in excluded]
    if not kept and not problems:
        problems.append(FieldProblem(pointer(field), "no_method", "No payment method is left."))
    return Chosen(kept, frozenset(kept) - set(names))


def _split(name: str) -> tuple[str, str]:
    """The sign of an exclusion, and what is excluded; without one, it is empty."""
    return ("-", name[1:]) if name.startswith("-") else ("", name)


def _unknown(where: str, name: str) -> FieldProblem:
    detail = f"No payment method {shown(name)} is offered here; see /v1/payment_methods."
    return FieldProblem(where, "unknown_method", detail)


def _members(assets: Mapping[str, Asset], name: str) -> list[str]:
    if name in assets:
        return [name]
    network, _, group = name.rpartition("_")
    if group not in {"all", "stables"}:
        return []
    return [
        method
        for method, asset in assets.items()
        if network in {"", asset.network} and (group == "all" or asset.is_stable)
    ]
