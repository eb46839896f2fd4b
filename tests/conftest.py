"""How every test runs: hypothesis without deadlines, since the machine may be busy, and the long files first."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("paynode", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("paynode")

LONG = ("faults", "simulation", "chains", "cli")  # folders of files that take long, the longest first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files come first, so that no process of several is left with one at the end."""

    def place(item: pytest.Item) -> int:
        return next((place for place, folder in enumerate(LONG) if folder in item.path.parts), len(LONG))

    items.sort(key=place)
