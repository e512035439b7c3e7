"""The shipped suites. Run them with ``pytest --pyargs pytest_smartattend.suites --smartattend-target=reference``."""
