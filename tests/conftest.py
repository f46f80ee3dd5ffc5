"""Settings for all tests."""

import os

import matplotlib as mpl
from hypothesis import settings

pytest_plugins = ["helpers.refusals", "helpers.tiny_profile"]
# --doctest-modules would import them as modules of one name
collect_ignore_glob = ["conftest.py", "*/conftest.py"]
mpl.use("Agg")
settings.register_profile("localspec", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("localspec")


def pytest_terminal_summary(terminalreporter):
    """Print the number of skips also where there are none."""
    terminalreporter.write_line(f"skipped: {len(terminalreporter.stats.get('skipped', []))}")


def pytest_report_header():
    """Say where the data for tests is looked for."""
    return f"LOCALSPEC_TEST_DATA: {os.environ.get('LOCALSPEC_TEST_DATA', 'not set')}"
