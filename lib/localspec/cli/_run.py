"""Runs of a profile: its pages that are not current, in their order, by Snakemake."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from filelock import Timeout

from localspec._utils.files import locked, project_root
from localspec.cli._files import (
    UNREADABLE,
    inside,
    load_named_profile,
    notebook_problem,
    profile_path,
    read_notebook,
    results_folder,
    shown,
)
from localspec.cli._options import WholeNumber
from localspec.cli._signals import ended_by_signals
from localspec.cli._snakemake import run_jobs
from localspec.cli._stamp import page_problem, source_hashes

CORES = click.option(
    "--cores",
    type=WholeNumber(),
    default=2,
    show_default=True,
    help="Processor cores, of all jobs together.",
)
VERBOSE = click.option("--verbose", is_flag=True, help="Show what Snakemake says.")


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock of `path` inside the block; it goes with the process, however that ends.

    Raises
    ------
    click.ClickException
        If another process holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, timeout_s=0))
        except Timeout as error:
            raise click.ClickException(
                f"another run is using {shown(path.parent)}: wait for it, or set LOCALSPEC_RESULTS"
            ) from error
        yield


def drop_stale_markers(folder: Path, pages: Mapping[str, Mapping[str, str]]) -> None:
    """Remove the markers of pages that are not current, so that these pages are run again.

    Parameters
    ----------
    folder : Path
        Results of the profile.
    pages : mapping
        From :func:`localspec.cli._stamp.source_hashes`: content, not a file's date, decides.
    """
    for page, hashes in pages.items():
        marker = folder / f"{page}.json"
        if not marker.exists():
            continue
        if marker.is_dir():
            raise click.ClickException(
                f"{shown(marker)} is a folder, where the record of a page stands: move it away"
            )
        try:
            record = json.loads(marker.read_text(encoding="utf-8"))
            problem = page_problem(record, folder / "tables", hashes)
            problem = problem or notebook_problem(marker.with_suffix(".ipynb"))
        except UNREADABLE:
            problem = "its record cannot be read"
        if problem:
            click.echo(f"{page}: {problem}; running it again")
            marker.unlink()


def check_notebooks(pages: list[str]) -> None:
    """Refuse pages whose notebooks are missing or damaged."""
    notebooks = project_root() / "notebooks"
    missing = [page for page in pages if not (notebooks / f"{page}.ipynb").is_file()]
    if missing:
        raise click.ClickException(f"no notebooks/*.ipynb for {', '.join(missing)}: make sync")
    for page in pages:
        read_notebook(notebooks / f"{page}.ipynb", "make sync")


@click.command()
@click.argument("profile", default="digits")
@CORES
@VERBOSE
def run(profile: str, cores: int, verbose: bool) -> None:
    """Run the pages of PROFILE (digits) that are not current.

    What is computed already is kept: a run that was stopped or killed goes on where it was.
    """
    loaded = load_named_profile(profile)
    check_notebooks(loaded.pages)
    results = results_folder()
    folder = inside(results, profile)
    config = {"profile": str(profile_path(profile))}
    with ended_by_signals(), one_at_a_time(results / ".run"):
        drop_stale_markers(folder, source_hashes(loaded, loaded.pages))
        run_jobs("all", config, results, cores=cores, verbose=verbose)
