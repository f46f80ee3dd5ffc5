"""Settings for all tests."""

import os

import matplotlib as mpl
from hypothesis import settings

# these take minutes: begun last, as files of few tests are by default, one would be waited for
SLOWEST = ("notebooks/test_published.py", "cli/test_kills.py", "studies/test_forks.py")

pytest_plugins = ["helpers.refusals", "helpers.tiny_profile"]
# --doctest-modules would import them as modules of one name
collect_ignore_glob = ["conftest.py", "*/conftest.py"]
mpl.use("Agg")
settings.register_profile("localspec", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("localspec")


def pytest_configure(config):
    """Let pytest-xdist keep the order in which tests are collected."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Put the slowest files first, so that other workers have enough to do meanwhile."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(SLOWEST))


def pytest_terminal_summary(terminalreporter):
    """Print the number of skips also where there are none."""
    terminalreporter.write_line(f"skipped: {len(terminalreporter.stats.get('skipped', []))}")


def pytest_report_header():
    """Say where the data for tests is looked for."""
    return f"LOCALSPEC_TEST_DATA: {os.environ.get('LOCALSPEC_TEST_DATA', 'not set')}"
