"""How hypothesis works in every test: without deadlines, since the machine may be busy; a failure can be repeated."""

from hypothesis import HealthCheck, settings

settings.register_profile("paynode", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("paynode")
