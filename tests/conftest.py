"""How every test runs: hypothesis without deadlines, since the machine may be busy, and the long files first."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("paynode", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("paynode")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for whole nodes comes first, so that no process of several is left with it at the end."""
    items.sort(key=lambda item: "faults" not in item.path.parts)
