"""Grid: what a page of a profile needs, one job for each network and seed.

A job of a page executes the page's notebook for one network and one seed. What it leaves are
artifacts; the page, which loads them, is the same notebook over all networks and seeds. Its record
says under which keys they are stored, so that content decides whether it is current: the profile's
entry, the notebook, the versions of stages, and whether all of the artifacts are there. The
library's hash does not: an edited plot computes nothing again.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from localspec._utils.artifacts import stored_path
from localspec.cli._files import UNREADABLE
from localspec.cli._jobs import jobs_folder
from localspec.cli._stamp import entry_hashes
from localspec.exceptions import ArtifactError
from localspec.pipeline import STAGES, Profile, open_replicate

# pages whose work is done by a job for each network and seed; a later one uses what an earlier
# one stored, so that it comes after it
REPLICATED = ("02_clustering", "03_importance", "04_coherence", "05_synthesis")
LOADING = ("01_training", *REPLICATED)  # pages that compute nothing that is stored
# pages whose networks are trained before, by jobs of their own
TRAINED = (*LOADING, "07_calibration", "08_sensitivity", "11_more_draws", "12_gallery")


def replicates_of(profile: Profile, page: str) -> list[tuple[str, int]]:
    """Return the networks and seeds of a page."""
    parameters = profile.parameters(page)
    return [
        (network, seed)
        for network in parameters.get("networks", [])
        for seed in parameters.get("seeds", [])
    ]


def networks_to_train(profile: Profile, pages: Iterable[str]) -> list[tuple[str, int]]:
    """Return the networks and seeds that pages want trained, seed by seed."""
    wanted = {pair for page in pages if page in TRAINED for pair in replicates_of(profile, page)}
    order = list(profile.networks)
    return sorted(wanted, key=lambda pair: (pair[1], order.index(pair[0])))


def _pending(profile: Profile, pairs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    pending = []
    for network, seed in pairs:
        replicate = open_replicate(profile, network, seed, compute="never", progress=False)
        try:
            _ = replicate.trained
        except ArtifactError:
            pending.append((network, seed))
    return pending


def pending_networks(profile: Profile, pairs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return those of the networks and seeds that are not stored; a damaged one is not.

    Another process looks, and takes the data with it.
    """
    if not pairs:
        return []
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_pending, profile, pairs).result()


def job_name(page: str, network: str, seed: int) -> str:
    """Return the name of a page's job, or of "train", for one network and seed."""
    return f"{page}/{network}/{seed}"


def _replicate_jobs(profile: Profile, pages: Iterable[str]) -> list[tuple[str, str, int]]:
    """Return page, network and seed of the jobs that pages have for each network and seed."""
    replicated = [page for page in pages if page in REPLICATED]
    return [(page, *pair) for page in replicated for pair in replicates_of(profile, page)]


def job_parameters(profile: Profile, page: str, network: str, seed: int) -> dict:
    """Return the parameters of a page's notebook for one network and seed."""
    return {**profile.parameters(page), "networks": [network], "seeds": [seed]}


def jobs_to_do(
    profile: Profile,
    pages: Iterable[str],
    pending: Iterable[tuple[str, int]],
    results: Path,
    stale: Iterable[Path] = (),
) -> list[str]:
    """Return the names of the jobs that pages need, of those that are not current."""
    folder, stale = jobs_folder(results, profile.name), set(stale)
    jobs = [job_name("train", *pair) for pair in pending]
    for job in _replicate_jobs(profile, pages):
        path = folder / f"{job_name(*job)}.json"
        jobs += [] if path.exists() and path not in stale else [job_name(*job)]
    return [*jobs, *pages]


def stored_artifacts(entries: Iterable[dict], results: Path) -> list[tuple[str, str]]:
    """Return stages and keys of the artifacts among what the library recorded line by line."""
    stages = {(entry["stage"], entry["key"]) for entry in entries if "stage" in entry}
    return sorted(pair for pair in stages if stored_path(*pair, results) is not None)


def job_record(entries: Iterable[dict], hashes: dict[str, str], results: Path) -> dict[str, object]:
    """Return the record of a job from what the library recorded."""
    stages = sorted({entry["stage"] for entry in entries if "stage" in entry})
    versions = {stage: STAGES[stage] for stage in stages}
    return {**hashes, "versions": versions, "artifacts": stored_artifacts(entries, results)}


def job_is_current(path: Path, hashes: dict[str, str], results: Path) -> bool:
    """Return whether a job's record says that all it would store is there."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        versions = record["versions"]
        return (
            all(record[name] == value for name, value in hashes.items())
            and versions == {stage: STAGES.get(stage) for stage in versions}
            and all(stored_path(*pair, results) is not None for pair in record["artifacts"])
        )
    except UNREADABLE:
        return False


def stale_jobs(profile: Profile, pages: Iterable[str], results: Path) -> list[Path]:
    """Return the records of pages' jobs that are not current."""
    stale = []
    for job in _replicate_jobs(profile, pages):
        path = jobs_folder(results, profile.name) / f"{job_name(*job)}.json"
        hashes = entry_hashes(profile, job[0], job_parameters(profile, *job))
        if path.exists() and not job_is_current(path, hashes, results):
            stale.append(path)
    return stale
