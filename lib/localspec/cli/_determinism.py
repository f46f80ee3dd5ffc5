"""Determinism of published pages: recomputed under other settings, every number compared.

Each setting changes how the same mathematics is carried out: the number of threads, the processor
instructions that torch, MKL, oneDNN and OpenBLAS may use. nbval executes every published page from
an empty folder for results and compares all text of all cells strictly.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import click

from localspec._utils.files import project_root
from localspec.cli._files import read_notebook
from localspec.cli._stamp import LIBRARY
from localspec.pipeline import check_name

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SETTINGS = {
    "1-thread": dict.fromkeys(THREADS, "1"),
    "2-threads": dict.fromkeys(THREADS, "2"),
    "torch-default": {"ATEN_CPU_CAPABILITY": "default"},
    "mkl-sse4_2": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "onednn-sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "openblas-prescott": {"OPENBLAS_CORETYPE": "Prescott"},
}
# two threads, and all newer instructions switched off at once: what the tests recompute
SETTINGS["together"] = {
    name: value
    for setting in list(SETTINGS)
    if setting != "1-thread"
    for name, value in SETTINGS[setting].items()
}

COUNTED = ("tests", "failures", "errors", "skipped")  # attributes of pytest's report


@dataclass(frozen=True)
class Outcome:
    """Numbers of cells under a setting, and the time they took."""

    passed: int
    failed: int
    duration_s: float

    @property
    def good(self) -> bool:
        """Whether some cells passed and none failed."""
        return self.passed > 0 and self.failed == 0


def pytest_collectstart(collector: object) -> None:
    """Leave stderr out of the comparison (pytest loads this module as a plugin): it is no result.

    Published pages carry none, while progress bars write there on every run. Outputs may take
    their time, too: on a busy machine nbval's five seconds are not enough.
    """
    if type(collector).__name__ == "IPyNbFile":
        collector.skip_compare = (*collector.skip_compare, "stderr")
        collector.output_timeout = 300


def count(report: Path) -> tuple[int, int]:
    """Return how many cells passed and how many did not, from pytest's report."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    totals = [{key: int(suite.get(key, 0)) for key in COUNTED} for suite in suites]
    failed = sum(total["failures"] + total["errors"] for total in totals)
    skipped = sum(total["skipped"] for total in totals)
    return sum(total["tests"] for total in totals) - failed - skipped, failed


def recompute(pages: list[Path], variables: dict[str, str]) -> Outcome:
    """Execute and compare the pages under a setting."""
    with tempfile.TemporaryDirectory(prefix="localspec-") as folder:
        results, report = Path(folder, "results"), Path(folder, "report.xml")
        results.mkdir()
        path = [str(LIBRARY.parent), os.environ.get("PYTHONPATH", "")]
        env = {name: value for name, value in os.environ.items() if name not in THREADS}
        env |= variables
        env["LOCALSPEC_RESULTS"] = str(results)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--nbval",
            "--nbval-current-env",
            "-p",
            __name__,
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            *map(str, pages),
        ]
        start = time.monotonic()
        done = subprocess.run(command, cwd=project_root(), env=env, capture_output=True, text=True)
        duration_s = time.monotonic() - start
        if done.returncode:
            click.echo(done.stdout[-6000:] + done.stderr[-2000:], err=True)
        passed, failed = count(report) if report.is_file() else (0, 0)
        # pytest itself failed: no cell did
        return Outcome(passed, failed or int(done.returncode != 0), duration_s)


@click.command()
@click.argument("profile", default="digits")
@click.option(
    "--setting",
    "settings",
    multiple=True,
    type=click.Choice(list(SETTINGS)),
    help="This setting only.",
)
def determinism(profile: str, settings: tuple[str, ...]) -> None:
    """Recompute the published pages of PROFILE (digits) and compare every printed number."""
    check_name("profile", profile)
    pages = sorted((project_root() / "book" / "runs" / profile).glob("*.ipynb"))
    if not pages:
        raise click.ClickException(
            f"no page of {profile} is published: make run PROFILE={profile}, "
            f"then make publish PROFILE={profile}"
        )
    for page in pages:
        read_notebook(page, f"make run PROFILE={profile}, then make publish PROFILE={profile}")
    click.echo(f"{'setting':18} {'passed':>7} {'failed':>7} {'time':>8}")
    outcomes = []
    for name in settings or SETTINGS:
        outcome = recompute(pages, SETTINGS[name])
        click.echo(f"{name:18} {outcome.passed:7} {outcome.failed:7} {outcome.duration_s:6.0f} s")
        outcomes.append(outcome)
    if not all(outcome.good for outcome in outcomes):
        raise SystemExit(1)
