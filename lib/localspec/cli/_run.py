"""Runs of a profile: its pages that are not current, in their order, by Snakemake."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from filelock import Timeout

from localspec._utils.files import locked, project_root, results_root
from localspec.cli._files import inside, load_named_profile, profile_path, shown
from localspec.cli._stamp import page_problem, source_hashes

CORES = click.option(
    "--cores",
    type=click.IntRange(min=1),
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
        try:
            record = json.loads(marker.read_text(encoding="utf-8"))
            problem = page_problem(record, folder / "tables", hashes)
        except (ValueError, KeyError, TypeError, AttributeError):
            problem = "its record cannot be read"
        if problem:
            click.echo(f"{page}: {problem}; running it again")
            marker.unlink()


def check_notebooks(pages: list[str]) -> None:
    """Refuse pages whose notebooks are missing."""
    notebooks = project_root() / "notebooks"
    missing = [page for page in pages if not (notebooks / f"{page}.ipynb").is_file()]
    if missing:
        raise click.ClickException(f"no notebooks/*.ipynb for {', '.join(missing)}: make sync")


def snakemake(
    target: str,
    config: dict[str, object],
    results: Path,
    *,
    cores: int,
    verbose: bool,
    options: tuple[str, ...] = (),
) -> bool:
    """Let Snakemake make a rule's output in this process; return whether it could.

    Parameters
    ----------
    target : str
        Name of a rule of the Snakefile.
    config : dict
        Its configuration, as JSON values.
    results : Path
        Absolute folder for results; Snakemake's own folder lies in it.
    cores : int
    verbose : bool
        Show what Snakemake says.
    options : tuple of str, optional
        More options of Snakemake.
    """
    from snakemake.cli import main

    root = project_root()
    os.chdir(root)
    os.environ["LOCALSPEC_RESULTS"] = str(results)  # jobs start elsewhere: no relative path
    arguments = [target, "--snakefile", str(root / "Snakefile"), "--directory", str(results)]
    arguments += ["--cores", str(cores), *options]
    arguments += ["--nolock", "--rerun-incomplete"]  # our lock needs no unlocking after a kill
    arguments += ["--rerun-triggers", "params"]  # no dates: what is missing is made
    arguments += [] if verbose else ["--quiet", "all"]
    arguments += ["--config", *(f"{name}={json.dumps(value)}" for name, value in config.items())]
    try:
        main(arguments)
    except SystemExit as end:
        return not end.code
    return True


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
    results = results_root().resolve()
    folder = inside(results, profile)
    config = {"profile": str(profile_path(profile))}
    with one_at_a_time(results / ".run"):
        drop_stale_markers(folder, source_hashes(loaded, loaded.pages))
        if not snakemake("all", config, results, cores=cores, verbose=verbose):
            raise click.ClickException(
                "the run stopped (--verbose, or VERBOSE=1 of make, shows what Snakemake says)"
            )
