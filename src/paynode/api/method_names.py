"""Payment methods as callers name them: one by one, in groups, and with a leading `-` all but those.

all, stables, {network}_all, {network}_stables

A number means the method that has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paynode.api.body import pointer, shown
from paynode.domain.errors import FieldProblem
from paynode.domain.money import Asset
from paynode.operations.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Chosen:
    methods: Sequence[str]
    only_in_groups: frozenset[str]  # those that no name means alone


def named(catalogue: Catalogue, name: str) -> str:
    """The name of a method that may be called by its number."""
    return next((method for method, number in catalogue.method_numbers.items() if str(number) == name), name)


def chosen(catalogue: Catalogue, names: Sequence[str], problems: list[FieldProblem], field: str = "methods") -> Chosen:
    """The methods that `names` mean, in the order they are named; of exclusions alone, all others.

    What cannot be is added to `problems`.
    """
    assets = catalogue.assets
    names = [named(catalogue, name) for name in names]
    wanted: dict[str, None] = {}
    excluded: set[str] = set()
    for position, name in enumerate(names):
        members = _members(assets, name.removeprefix("-"))
        if not members:
            detail = f"No payment method {shown(name)} is offered here; see /v1/payment_methods."
            problems.append(FieldProblem(pointer(field, position), "unknown_method", detail))
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
