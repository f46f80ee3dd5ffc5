"""Costs: what jobs took, measured, and what the jobs of a run will take."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from localspec._utils.artifacts import artifact_path
from localspec._utils.files import project_root
from localspec.cli._files import (
    UNREADABLE,
    load_named_profile,
    results_folder,
    shown,
    write_if_changed,
)
from localspec.cli._grid import LOADING
from localspec.cli._jobs import jobs_folder
from localspec.networks import NetworkSettings
from localspec.pipeline import Profile

FIELDS = ("job", "dataset", "architecture", "unit", "seconds", "megabytes")
DRAWN = ("03_importance", "04_coherence")  # every draw takes as long as the true subclusters


@dataclass(frozen=True)
class Cost:
    """Core seconds and megabytes on disk, of one unit of a kind of job.

    Core seconds are processor time, which other work on the machine hardly changes.
    """

    seconds: float
    megabytes: float


Kind = tuple[str, str, str, str]  # job, data set, architecture, unit
START: Kind = ("start", "", "", "job")  # of the process of any job, before it does its own work


def core_seconds() -> float:
    """Return the processor time of this process and of those that it started and that ended."""
    return sum(os.times()[:4])


def kind_of(job: str, settings: NetworkSettings) -> Kind:
    """Return what a measured cost is of: training is measured by epochs, what is drawn by draws."""
    unit = "draw" if job in DRAWN else "network and seed"
    if job == "train":
        unit = "epoch"
    return (job, settings.dataset, settings.architecture, unit)


def page_kind(page: str, profile: Profile) -> Kind:
    """Return what the cost of a page is of; pages whose jobs did the work are all alike."""
    if page in LOADING:
        return ("page", "", "", "page")
    datasets = sorted({settings.dataset for settings in profile.networks.values()})
    return (page, " ".join(datasets), "", "page")


def n_units(job: str, profile: Profile, settings: NetworkSettings) -> int:
    """Return how many units a job is; a pruned network continues its unpruned form."""
    if job == "train":
        return settings.n_pruning_epochs or settings.n_epochs
    return profile.parameters(job)["n_draws"] + 1 if job in DRAWN else 1


def table_path() -> Path:
    """Return where measured costs are stored; not in the library, whose hash they are none of."""
    return project_root() / "notebooks" / "profiles" / "costs.csv"


def cost_of(
    artifacts: Iterable[Sequence[str]],
    results: Path,
    *,
    job_began: float,
    run_began: float,
    seconds: float,
    start: float,
) -> dict[str, object]:
    """Return the cost of a job; it counts only if its run computed all that the job needs.

    `artifacts` has stages and keys of that, of which published networks do not matter; `seconds`
    and `start` are core seconds of the job's own work and of its process before.
    """
    paths = [artifact_path(stage, key, results) for stage, key in artifacts]
    states = [path.stat() for path in paths if path.exists()]
    return {
        "seconds": round(seconds, 2),
        "start": round(start, 2),
        "bytes": sum(state.st_size for state in states if state.st_mtime >= job_began),
        "measured": bool(states) and all(state.st_mtime >= run_began for state in states),
    }


def read_costs(path: Path) -> dict[Kind, Cost]:
    """Return the measured costs that are stored."""
    if not path.is_file():
        return {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return {
                tuple(row[name] for name in FIELDS[:4]): Cost(
                    float(row["seconds"]), float(row["megabytes"])
                )
                for row in csv.DictReader(file)
            }
    except (*UNREADABLE, csv.Error) as error:
        raise click.ClickException(
            f"{shown(path)} cannot be read ({type(error).__name__}: {error}): restore it with git, "
            "or delete it; it only says what jobs will take"
        ) from error


def write_costs(costs: dict[Kind, Cost], path: Path) -> None:
    """Store measured costs, in the order of their kinds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for kind, cost in sorted(costs.items()):
        writer.writerow([*kind, f"{cost.seconds:.3g}", f"{cost.megabytes:.3g}"])
    write_if_changed(path, text.getvalue())


def _mean(costs: list[Cost]) -> Cost:
    n = len(costs)
    return Cost(sum(c.seconds for c in costs) / n, sum(c.megabytes for c in costs) / n)


def _work(profile: Profile, job: str, replicate: list[str]) -> tuple[Kind, int]:
    """Return what the cost of a job is of, and how many units it is; pages have no replicate."""
    if not replicate:
        return page_kind(job, profile), 1
    settings = profile.networks[replicate[0]]
    return kind_of(job, settings), n_units(job, profile, settings)


def measured_costs(profile: Profile, results: Path) -> dict[Kind, Cost]:
    """Return the mean costs that the jobs of a profile's last run left in their records."""
    folder, costs = jobs_folder(results, profile.name), {}
    for path in sorted([*folder.glob("*/*/*.json"), *folder.glob("*.json")]):
        job, *replicate = path.relative_to(folder).with_suffix("").parts
        with suppress(UNREADABLE):
            cost = json.loads(path.read_text(encoding="utf-8"))["cost"]
            kind, n = _work(profile, job, replicate)
            if cost["measured"] or (not replicate and job in LOADING):
                n_stored = n if job in DRAWN else 1  # a network is as large after each epoch
                each = Cost(cost["seconds"] / n, cost["bytes"] / 1e6 / n_stored)
                costs.setdefault(kind, []).append(each)
            costs.setdefault(START, []).append(Cost(cost["start"], 0.0))
    return {kind: _mean(each) for kind, each in costs.items()}


def estimate(profile: Profile, jobs: Sequence[str], costs: dict[Kind, Cost] | None = None) -> str:
    """Return in one line how many jobs there are, and what they will take."""
    costs = read_costs(table_path()) if costs is None else costs
    seconds = megabytes = 0.0
    unknown: Counter[str] = Counter()
    start = costs.get(START, Cost(0.0, 0.0))
    for name in jobs:
        job, *replicate = name.split("/")
        kind, n = _work(profile, job, replicate)
        cost = costs.get(kind)
        if cost is None:
            unknown[job] += 1
        else:
            seconds += n * cost.seconds + start.seconds
            megabytes += cost.megabytes * (n if job in DRAWN else 1)
    amount = f"about {seconds / 3600:.2g} core hours and {max(megabytes, 0.1):.2g} MB"
    if sum(unknown.values()) == len(jobs):
        amount = "what they take was never measured"
    elif unknown:
        names = ", ".join(f"{job} ({n})" for job, n in sorted(unknown.items()))
        amount += f", without those that were never measured: {names}"
    kinds = Counter(name.split("/")[0] if "/" in name else "pages" for name in jobs)
    what = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    return f"{profile.name}: {len(jobs)} jobs ({what}): {amount}"


@click.command(hidden=True)
@click.argument("profile", default="digits")
def costs(profile: str) -> None:
    """Take what the jobs of PROFILE took into the table of measured costs."""
    loaded, results = load_named_profile(profile), results_folder()
    new = measured_costs(loaded, results)
    if not new:
        raise click.ClickException(
            f"no job of {profile} was measured: run it into an empty folder for results first"
        )
    path = table_path()
    write_costs(read_costs(path) | new, path)
    click.echo(f"{len(new)} measured costs in {shown(path)}")
