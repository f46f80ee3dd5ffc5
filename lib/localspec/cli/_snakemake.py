"""Snakemake: the jobs of a profile, in their order, side by side, and what became of them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import click

from localspec._utils.files import project_root
from localspec.cli._jobs import forget_states, jobs_folder, states, why_stopped
from localspec.cli._signals import GOES_ON

LOOK_S = 0.2  # between two looks at what the jobs say


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
        Its configuration, as JSON values; ``profile`` is the path of the profile's file.
    results : Path
        Absolute folder for results; Snakemake's own folder lies in it.
    cores : int
    verbose : bool
        Show what Snakemake says.
    options : tuple of str, optional
        More options of Snakemake.
    """
    root = project_root()
    os.chdir(root)
    os.environ["LOCALSPEC_RESULTS"] = str(results)  # jobs start elsewhere: no relative path
    arguments = [target, "--snakefile", str(root / "Snakefile"), "--directory", str(results)]
    arguments += ["--cores", str(cores), "--keep-going", *options]
    arguments += ["--nolock", "--rerun-incomplete"]  # our lock needs no unlocking after a kill
    arguments += ["--rerun-triggers", "params"]  # no dates: what is missing is made
    arguments += [] if verbose else ["--quiet", "all"]
    arguments += ["--config", *(f"{name}={json.dumps(value)}" for name, value in config.items())]
    codes: list[object] = []

    def work() -> None:
        from snakemake.cli import main

        try:
            main(arguments)
        except SystemExit as end:
            codes.append(end.code)

    # In a thread of its own, Snakemake leaves signals to this one, which would wait for jobs.
    thread = threading.Thread(target=work, name="snakemake", daemon=True)
    thread.start()
    said: set[str] = set()
    folder = jobs_folder(results, Path(str(config["profile"])).stem)
    while thread.is_alive():
        thread.join(LOOK_S)
        say_what_is_done(folder, said)
    return codes in ([0], [None])


def say_what_is_done(folder: Path, said: set[str]) -> None:
    """Print what jobs say at their end, of each once; `said` holds the names of those who did."""
    for name, state in states(folder).items():
        if state.status == "done" and name not in said:
            said.add(name)
            click.echo(state.line)


def run_jobs(
    target: str, config: dict[str, object], results: Path, *, cores: int, verbose: bool
) -> None:
    """Let Snakemake make a rule's output, as :func:`snakemake` does.

    Raises
    ------
    click.ClickException
        If that could not be done; the message says of every job that failed why, and where to
        look.
    """
    folder = jobs_folder(results, Path(str(config["profile"])).stem)
    forget_states(folder)
    if not snakemake(target, config, results, cores=cores, verbose=verbose):
        reasons = why_stopped(folder) or (
            "Snakemake stopped before a job failed (--verbose, or VERBOSE=1 of make, shows why)"
        )
        raise click.ClickException(f"the run stopped. {GOES_ON}\n{reasons}")
