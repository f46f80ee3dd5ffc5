"""Training of a profile's networks: those that are not stored yet, side by side by Snakemake."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from localspec._utils.hardware import keep_freed_memory
from localspec._utils.validation import check_option
from localspec.cli._costs import estimate
from localspec.cli._files import inside, profile_path, results_folder
from localspec.cli._grid import job_name, pending_networks
from localspec.cli._options import CORES, JOBS, VERBOSE, WORKFLOW
from localspec.cli._run import one_at_a_time
from localspec.cli._signals import ended_by_signals
from localspec.cli._snakemake import Manner, run_jobs
from localspec.pipeline import Profile, load_profile, open_replicate


def describe(name: str, history: Mapping[str, Sequence[float]], duration_s: float) -> str:
    """Return how the training of a network ended, in one line."""
    last = {quantity: values[-1] for quantity, values in history.items()}
    # a network that does not classify has no accuracy
    quantity = "loss" if math.isnan(last["test_accuracy"]) else "accuracy"
    return (
        f"{time.strftime('%H:%M:%S')}  {name}: {duration_s:.0f} s, {quantity} "
        f"{last[f'train_{quantity}']:.4f} in training, {last[f'test_{quantity}']:.4f} in test"
    )


def train_one(profile: Profile, network: str, seed: int) -> tuple[str, tuple[str, str]]:
    """Train a network, going on from the checkpoint of a killed training.

    Returns a line on how it ended, and the stage and key of the network.
    """
    start = time.monotonic()
    keep_freed_memory()
    replicate = open_replicate(profile, network, seed, progress=False)
    stored = replicate.stored_network()
    duration_s = time.monotonic() - start
    stage = "pruning" if replicate.settings.n_pruning_epochs else "training"
    return describe(replicate.name, replicate.trained.history, duration_s), (stage, stored.key)


@click.command()
@click.argument("profile")
@click.option("--network", "networks", multiple=True, metavar="NAME", help="This network only.")
@click.option("--seed", "seeds", multiple=True, type=int, help="This seed only.")
@click.option("--list", "list_only", is_flag=True, help="Only list what is not stored yet.")
@CORES
@JOBS
@WORKFLOW
@VERBOSE
def train(
    profile: str,
    networks: tuple[str, ...],
    seeds: tuple[int, ...],
    list_only: bool,
    cores: int,
    jobs: int | None,
    workflow: str,
    verbose: bool,
) -> None:
    """Train the networks of PROFILE that are not stored yet.

    PROFILE is the name of a file in notebooks/profiles, or the path of one. As many networks are
    trained side by side as their threads (n_threads in the profile) fit into the cores. Stop it
    with Ctrl+C or kill -9 and start it again: what is stored is kept, and what was under way goes
    on from its checkpoint, which is at most an epoch or ten seconds old, whichever is longer.
    """
    loaded = load_profile(profile)
    for network in networks:
        check_option("network", network, loaded.networks)
    for seed in seeds:
        check_option("seed", seed, loaded.seeds)
    replicates = [
        (network, seed)
        for seed in loaded.seeds
        for network in loaded.networks
        if seed in (seeds or loaded.seeds) and network in (networks or loaded.networks)
    ]
    results = results_folder()
    manner = Manner(cores=cores, jobs=jobs, workflow=workflow, verbose=verbose)
    manner.arguments()  # refuses a workflow that is not there
    with ended_by_signals(manner.local):
        pending = pending_networks(loaded, replicates)
        click.echo(f"{len(pending)} of {len(replicates)} networks are not stored yet")
        if list_only:
            for network, seed in pending:
                click.echo(f"{network}, seed {seed}")
        elif pending:
            train_pending(loaded, profile_path(profile), pending, results, manner)


def train_pending(
    profile: Profile,
    path: Path,
    pending: list[tuple[str, int]],
    results: Path,
    manner: Manner,
) -> None:
    """Train networks of a profile, which stands in `path`."""
    marks = inside(results, path.stem, ".trained")  # of this call: artifacts decide what is stored
    with one_at_a_time(results / path.stem / ".train"):
        shutil.rmtree(marks, ignore_errors=True)
        config = {"profile": str(path), "pending": pending}
        names = [job_name("train", *pair) for pair in pending]
        click.echo(estimate(profile, names))
        try:
            run_jobs("trained", config, results, manner, n_jobs=len(names))
        finally:
            shutil.rmtree(marks, ignore_errors=True)
