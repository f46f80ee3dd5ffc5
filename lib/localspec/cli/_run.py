"""Runs of a profile: its pages that are not current, in their order, by Snakemake."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from filelock import Timeout

from localspec._utils.files import locked, project_root
from localspec.cli._costs import estimate
from localspec.cli._files import (
    inside,
    load_named_profile,
    profile_path,
    read_notebook,
    results_folder,
    shown,
)
from localspec.cli._grid import jobs_to_do, networks_to_train, pending_networks, stale_jobs
from localspec.cli._jobs import jobs_folder, states, title_of
from localspec.cli._options import CORES, JOBS, VERBOSE, WORKFLOW
from localspec.cli._signals import ended_by_signals
from localspec.cli._snakemake import Manner, run_jobs, snakemake
from localspec.cli._stamp import read_record, source_hashes
from localspec.pipeline import Profile


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock of `path` inside the block; it goes with the process, however that ends."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, timeout_s=0))
        except Timeout as error:
            raise click.ClickException(
                f"another run is using {shown(path.parent)}: wait for it, or set LOCALSPEC_RESULTS"
            ) from error
        yield


def stale_pages(folder: Path, pages: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the pages that were run and are not current, and say why.

    Their hashes, from :func:`source_hashes`, decide, and no file's date.
    """
    stale = []
    for page, hashes in pages.items():
        marker = folder / f"{page}.json"
        if not marker.exists():
            continue
        if marker.is_dir():
            raise click.ClickException(
                f"{shown(marker)} is a folder, where the record of a page stands: move it away"
            )
        _, problem = read_record(marker, hashes)
        if problem:
            click.echo(f"{page}: {problem}; running it again")
            stale.append(page)
    return stale


def check_notebooks(pages: list[str]) -> None:
    """Refuse pages whose notebooks are missing or damaged."""
    notebooks = project_root() / "notebooks"
    missing = [page for page in pages if not (notebooks / f"{page}.ipynb").is_file()]
    if missing:
        raise click.ClickException(f"no notebooks/*.ipynb for {', '.join(missing)}: make sync")
    for page in pages:
        read_notebook(notebooks / f"{page}.ipynb", "make sync")


def run_once(profile: Profile, results: Path, manner: Manner, *, dry: bool) -> None:
    """Do the jobs of a profile's pages that are not current; if `dry`, only list them.

    Snakemake does what has no record: those that are not current are removed.
    """
    folder = inside(results, profile.name)
    old = stale_pages(folder, source_hashes(profile, profile.pages))
    records = {page: folder / f"{page}.json" for page in profile.pages}
    pages = [page for page, path in records.items() if page in old or not path.exists()]
    stale = stale_jobs(profile, pages, results)
    pending = pending_networks(profile, networks_to_train(profile, pages))
    jobs = jobs_to_do(profile, pages, pending, results, stale)
    if not jobs:
        if dry:
            click.echo(f"{profile.name}: every page is current")
        return
    click.echo(estimate(profile, jobs))
    if dry:
        click.echo("\n".join(title_of(job) for job in jobs))
        return
    for path in [*(records[page] for page in old), *stale]:
        path.unlink()
    shutil.rmtree(folder / ".trained", ignore_errors=True)
    config = {"profile": str(profile_path(profile.name)), "pending": pending}
    run_jobs("all", config, results, manner, n_jobs=len(jobs))


@click.command()
@click.argument("profile", default="digits")
@CORES
@JOBS
@WORKFLOW
@VERBOSE
@click.option("--dry", is_flag=True, help="Only say what there is to do, and what it will take.")
def run(
    profile: str, cores: int, jobs: int | None, workflow: str, verbose: bool, dry: bool
) -> None:
    """Run the pages of PROFILE (digits) that are not current.

    Every network and seed is a job of its own. What is computed already is kept: a run that was
    stopped or killed goes on where it was.
    """
    loaded = load_named_profile(profile)
    check_notebooks(loaded.pages)
    results = results_folder()
    manner = Manner(cores=cores, jobs=jobs, workflow=workflow, verbose=verbose)
    manner.arguments()  # refuses a workflow that is not there
    with (
        ended_by_signals(manner.local),
        one_at_a_time(results / ".run"),
        one_at_a_time(inside(results, profile, ".train")),
    ):
        try:
            run_once(loaded, results, manner, dry=dry)
        except click.ClickException:
            ended = states(jobs_folder(results, profile)).values()
            if not any(state.lacking for state in ended):
                raise
            click.echo("stored results are missing or damaged: they are computed")
            run_once(loaded, results, manner, dry=dry)


@click.command()
@click.argument("profile", default="digits")
def report(profile: str) -> None:
    """Write Snakemake's report of what PROFILE (digits) consists of and when its jobs ran."""
    loaded, results = load_named_profile(profile), results_folder()
    folder = inside(results, profile)
    pages = [page for page in loaded.pages if not (folder / f"{page}.json").is_file()]
    if pages:
        raise click.ClickException(
            f"{', '.join(pages)} of {profile} was not run: make run PROFILE={profile} first"
        )
    path = folder / "report.html"
    config = {"profile": str(profile_path(profile)), "report": True}
    options = ("--report", str(path))
    with one_at_a_time(results / ".run"):
        written = snakemake("all", config, results, Manner(cores=1), options=options)
    if not (written and path.is_file()):
        raise click.ClickException(
            f"Snakemake could not write {shown(path)}: jobs of {profile} may have been removed; "
            f"make run PROFILE={profile}"
        )
    click.echo(f"report of {profile}: {shown(path)}")
