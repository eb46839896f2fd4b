"""The table `[screening]`: who is asked about the senders of deposits, and what becomes of what they say."""

from datetime import timedelta
from pathlib import Path

from paynode.config.shapes import DenyFile, Screening
from paynode.config.table import Table
from paynode.config.values import boolean, duration, list_of, one_of, text
from paynode.domain.screening import OnFlagged, Policy


def read_screening(top: Table, folder: Path) -> Screening:
    """Every file that is named must be there: one that is not would let everything pass."""
    with top.table("screening") as table:
        names = table.optional("deny_files", list_of(text), ())
        files = tuple(DenyFile(name, folder / name) for name in names)
        for file in files:
            if not file.path.is_file():
                remedy = f"Put the list of addresses there, or correct the name: {file.path}"
                table.note("deny_files", f"names {file.name}, which is not a file", remedy)
        if len({file.path for file in files}) < len(files):
            table.note("deny_files", "names a file twice", "Remove one of the two")
        age_max = table.optional("max_age", duration(timedelta(hours=1), timedelta(days=365)), None)
        if age_max is not None and not files:
            table.note("max_age", "is for deny_files, and there is none", "Name one, or remove it")
        policy = read_policy(table, Policy(), is_on=bool(files), leave=False)
    return Screening(files, age_max, policy)


def read_policy(table: Table, default: Policy, *, is_on: bool, leave: bool = True) -> Policy:
    """What a store does about verdicts; `leave`: the table holds nothing else."""
    policy = Policy(
        is_required=table.optional("required", boolean, default.is_required),
        on_flagged=table.optional("flagged", one_of(OnFlagged), default.on_flagged),
    )
    if policy.is_required and not is_on:
        remedy = "Name who is asked, such as screening.deny_files, or remove it: all money would be kept back"
        table.note("required", "is set, and nobody is asked about senders", remedy)
    if leave:
        with table:
            pass
    return policy
