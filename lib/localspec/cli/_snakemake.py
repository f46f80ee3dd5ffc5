"""Snakemake: the jobs of a profile, in their order, side by side, and what became of them."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import click
from tqdm import tqdm

from localspec._utils.files import project_root
from localspec._utils.validation import check_option
from localspec.cli._jobs import begin, jobs_folder, states, why_stopped
from localspec.cli._signals import GOES_ON

LOCAL = "local"
LOOK_S = 0.2  # between two looks at what the jobs say


@dataclass(frozen=True)
class Manner:
    """How jobs are run."""

    cores: int = 2  # of this machine, for all jobs together
    jobs: int | None = None  # how many run at once; on this machine it stands for `cores`
    workflow: str = LOCAL  # the folder of ``profiles`` that says where they run
    verbose: bool = False  # show what Snakemake says, and no bar

    @property
    def local(self) -> bool:
        """Whether the jobs are processes of this machine."""
        return self.workflow == LOCAL

    def arguments(self) -> list[str]:
        """Return Snakemake's arguments for it."""
        folder = project_root() / "profiles"
        available = sorted(path.parent.name for path in folder.glob("*/config.yaml"))
        name = check_option("workflow", self.workflow, available)
        arguments = ["--workflow-profile", str(folder / name)]
        if self.local:
            arguments += ["--cores", str(self.jobs or self.cores)]
        elif self.jobs:
            arguments += ["--jobs", str(self.jobs)]
        return arguments + ([] if self.verbose else ["--quiet", "all"])


def snakemake(
    target: str,
    config: dict[str, object],
    results: Path,
    manner: Manner,
    *,
    n_jobs: int = 0,
    options: tuple[str, ...] = (),
) -> bool:
    """Let Snakemake make the output of the rule `target` in this process; return whether it could.

    The configuration has JSON values; ``profile`` is the path of the profile's file. `results` is
    absolute, and Snakemake's own folder lies in it; `n_jobs` is for the bar.
    """
    root = project_root()
    os.chdir(root)
    os.environ["LOCALSPEC_RESULTS"] = str(results)  # jobs start elsewhere: no relative path
    arguments = [target, "--snakefile", str(root / "Snakefile"), "--directory", str(results)]
    arguments += [*manner.arguments(), *options]
    config = {**config, "local": manner.local, "cores": manner.jobs or manner.cores}
    arguments += ["--config", *config_arguments(config)]
    parser, parsed = parsed_arguments(arguments)
    folder = jobs_folder(results, Path(str(config["profile"])).stem)
    made: list[bool] = []
    ended = threading.Event()

    def work() -> None:
        from snakemake.cli import args_to_api
        from snakemake.exceptions import print_exception

        try:
            made.append(args_to_api(parsed, parser))
        except Exception as error:  # as Snakemake's own command does
            print_exception(error)
        finally:
            ended.set()

    def look() -> None:
        said = set(states(folder))
        hidden = manner.verbose or not sys.stderr.isatty()
        with tqdm(total=n_jobs, unit="job", disable=hidden, leave=False) as bar:
            while not ended.wait(LOOK_S):
                bar.update(say_what_is_done(folder, said))
            bar.update(say_what_is_done(folder, said))

    # In a thread of its own, Snakemake leaves signals to this one, where it would wait for jobs. On
    # a cluster they are Snakemake's: it cancels what it submitted.
    first, second = (work, look) if manner.local else (look, work)
    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    second()
    thread.join()
    return made == [True]


def config_arguments(config: Mapping[str, object]) -> list[str]:
    """Return Snakemake's arguments for JSON values of its configuration; a text is a list of one.

    Snakemake strips the quotes of a text and reads it as YAML, which ends "a #b" before the "#" and
    takes the escapes of JSON for text.
    """
    listed = {name: [value] if isinstance(value, str) else value for name, value in config.items()}
    return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in listed.items()]


def parsed_arguments(arguments: list[str]) -> tuple[ArgumentParser, Namespace]:
    """Parse Snakemake's arguments, without what it says of the profile that it reads."""
    from snakemake.cli import parse_args

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return parse_args(arguments)
    except SystemExit as error:
        refusal = said.getvalue().strip().splitlines()[-1:] or ["no reason is given"]
        raise click.ClickException(f"Snakemake refuses its arguments: {refusal[0]}") from error


def say_what_is_done(folder: Path, said: set[str]) -> int:
    """Print what jobs say at their end, of each once; return how many ended.

    `said` holds the names of those of before; these are added.
    """
    ended = [
        (name, state)
        for name, state in states(folder).items()
        if state.status != "running" and name not in said
    ]
    for name, state in ended:
        said.add(name)
        if state.status == "done":
            tqdm.write(state.line)
    return len(ended)


def run_jobs(
    target: str, config: dict[str, object], results: Path, manner: Manner, *, n_jobs: int
) -> None:
    """Let Snakemake make a rule's output, or say why each job failed, and where to look."""
    folder = jobs_folder(results, Path(str(config["profile"])).stem)
    begin(folder)
    if not snakemake(target, config, results, manner, n_jobs=n_jobs):
        reasons = why_stopped(folder) or (
            "Snakemake stopped before a job failed (--verbose, or VERBOSE=1 of make, shows why)"
        )
        raise click.ClickException(f"the run stopped. {GOES_ON}\n{reasons}")
