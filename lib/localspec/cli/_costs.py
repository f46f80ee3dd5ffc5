"""Costs: what jobs took, measured, and what the jobs of a run will take."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from localspec._utils.artifacts import artifact_path
from localspec._utils.files import project_root
from localspec.cli._files import UNREADABLE, load_named_profile, results_folder, shown
from localspec.cli._grid import REPLICATED
from localspec.cli._jobs import jobs_folder
from localspec.networks import NetworkSettings
from localspec.pipeline import Profile

FIELDS = ("job", "dataset", "architecture", "unit", "seconds", "megabytes")
PAGE = ("page", "", "", "page")


@dataclass(frozen=True)
class Cost:
    """Core seconds and megabytes on disk, of one unit of a kind of job."""

    seconds: float
    megabytes: float


Kind = tuple[str, str, str, str]  # job, data set, architecture, unit


def kind_of(job: str, settings: NetworkSettings) -> Kind:
    """Return what a measured cost is of: the unit of training is an epoch."""
    unit = "epoch" if job == "train" else "network and seed"
    return (job, settings.dataset, settings.architecture, unit)


def n_units(job: str, settings: NetworkSettings) -> int:
    """Return how many units a job is; a pruned network continues its unpruned form."""
    return (settings.n_pruning_epochs or settings.n_epochs) if job == "train" else 1


def table_path() -> Path:
    """Return where measured costs are stored; not in the library, whose hash they are none of."""
    return project_root() / "notebooks" / "profiles" / "costs.csv"


def cost_of(
    artifacts: Iterable[Sequence[str]], results: Path, since: float, seconds: float
) -> dict[str, object]:
    """Return the cost of a job; it counts only if the job computed all that it stores itself."""
    paths = [artifact_path(stage, key, results) for stage, key in artifacts]
    states = [path.stat() for path in paths if path.exists()]
    new = [state for state in states if state.st_mtime >= since]
    n_bytes = sum(state.st_size for state in new)
    return {"seconds": round(seconds, 2), "bytes": n_bytes, "measured": 0 < len(new) == len(paths)}


def read_costs(path: Path) -> dict[Kind, Cost]:
    """Return the measured costs that are stored."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8", newline="") as file:
        return {
            tuple(row[name] for name in FIELDS[:4]): Cost(
                float(row["seconds"]), float(row["megabytes"])
            )
            for row in csv.DictReader(file)
        }


def write_costs(costs: dict[Kind, Cost], path: Path) -> None:
    """Store measured costs, in the order of their kinds."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for kind, cost in sorted(costs.items()):
            writer.writerow([*kind, f"{cost.seconds:.3g}", f"{cost.megabytes:.3g}"])


def _mean(costs: list[Cost]) -> Cost:
    n = len(costs)
    return Cost(sum(c.seconds for c in costs) / n, sum(c.megabytes for c in costs) / n)


def measured_costs(profile: Profile, results: Path) -> dict[Kind, Cost]:
    """Return the mean costs that the jobs of a profile's last run left in their records."""
    folder, found = jobs_folder(results, profile.name), {}
    for path in sorted(folder.glob("*/*/*.json")):
        job, network = path.parts[-3:-1]
        with suppress(UNREADABLE):
            cost = json.loads(path.read_text(encoding="utf-8"))["cost"]
            settings = profile.networks[network]
            n = n_units(job, settings)
            if cost["measured"]:
                each = Cost(cost["seconds"] / n, cost["bytes"] / 1e6)
                found.setdefault(kind_of(job, settings), []).append(each)
    for path in sorted((results / profile.name).glob("*.json")):
        with suppress(UNREADABLE):
            about = json.loads(path.read_text(encoding="utf-8"))["information"]
            if path.stem in REPLICATED:  # others compute, too
                found.setdefault(PAGE, []).append(Cost(about["duration_s"], 0.0))
    return {kind: _mean(costs) for kind, costs in found.items()}


def expected_cost(kind: Kind, costs: dict[Kind, Cost]) -> Cost | None:
    """Return the cost of a kind, else the mean of those that share most with it; None without."""
    for same in ((0, 1, 2, 3), (0, 2, 3), (0, 3)):
        alike = [c for k, c in costs.items() if all(k[i] == kind[i] for i in same)]
        if alike:
            return _mean(alike)
    return None


def estimate(profile: Profile, jobs: Sequence[str], costs: dict[Kind, Cost] | None = None) -> str:
    """Return in one line how many jobs there are, and what they will take.

    Parameters
    ----------
    profile : Profile
    jobs : sequence of str
        Names of the jobs that are to be done.
    costs : dict, optional
        By default those that are stored.
    """
    costs = read_costs(table_path()) if costs is None else costs
    seconds = megabytes = 0.0
    unknown: Counter[str] = Counter()
    for name in jobs:
        job, *replicate = name.split("/")
        if replicate:
            settings = profile.networks[replicate[0]]
            kind, n = kind_of(job, settings), n_units(job, settings)
            n_cores = (settings.n_threads or 1) if job == "train" else 1
        else:
            kind, n, n_cores = PAGE, 1, 1
        cost = expected_cost(kind, costs)
        computes = not replicate and job not in (*REPLICATED, "01_training", "05_synthesis")
        if cost is None or computes:
            unknown[job] += 1
        else:
            seconds += n * n_cores * cost.seconds
            megabytes += cost.megabytes
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
