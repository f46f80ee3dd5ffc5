"""Train the networks of a profile that are not stored yet.

A network and its pruned form are trained one after the other in a process of their own; as many
processes run side by side as their threads (n_threads in the profile) fit into --cores: on two
cores two MLPs of one thread each, or one CNN of two threads. One line is printed for every network
that is finished. Kill it however you like (Ctrl+C, kill -9) and start it again: what is stored is
kept, and what was under way goes on from its checkpoint, which is at most an epoch or ten seconds
old, whichever is longer.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from project import ROOT, die_with_parent, refuse, results_root
from tqdm import tqdm


@dataclass(frozen=True)
class Job:
    """Networks that continue one another, for one seed."""

    networks: tuple[str, ...]
    seed: int
    n_threads: int


def jobs_of(profile: Any, pending: list[tuple[str, int]], cores: int) -> list[Job]:
    """Return the jobs that make the pending networks; those of few threads first."""
    chains: dict[tuple, list[str]] = defaultdict(list)
    for name, seed in pending:
        key = json.dumps(profile.networks[name].training_key(), sort_keys=True)
        chains[seed, key].append(name)
    jobs = []
    for (seed, _), names in chains.items():
        names.sort(key=lambda name: profile.networks[name].n_pruning_epochs)
        n_threads = profile.networks[names[0]].n_threads or cores
        jobs.append(Job(tuple(names), seed, min(n_threads, cores)))
    return sorted(jobs, key=lambda job: job.n_threads)  # stable: otherwise as in the profile


def n_epochs(settings: Any) -> int:
    """Return the epochs from the network that this one continues, if any."""
    return settings.n_pruning_epochs or settings.n_epochs


class Clock:
    """Estimates the time left from the seconds an epoch took, by architecture.

    Data sets and variants of one architecture cost about the same.
    """

    def __init__(self, profile: Any, cores: int) -> None:
        self.profile, self.cores = profile, cores
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, seconds: float) -> None:
        settings = self.profile.networks[name]
        self.seconds[settings.architecture].append(seconds / n_epochs(settings))

    def left(self, jobs: list[tuple[Job, list[str]]]) -> float | None:
        """Return seconds for what is left of some jobs; None where a kind is not timed yet."""
        total = 0.0
        for job, names in jobs:
            for name in names:
                settings = self.profile.networks[name]
                timed = self.seconds[settings.architecture]
                if not timed:
                    return None
                seconds = n_epochs(settings) * sum(timed) / len(timed)
                total += seconds * job.n_threads / self.cores
        return total


def pending_of(profile: Any, seeds: list[int]) -> list[tuple[str, int]]:
    """Return the networks and seeds of a profile that are not stored."""
    from localspec.errors import ArtifactError
    from localspec.pipeline import Replicate

    found = []
    for seed in seeds:
        for name in profile.networks:
            try:
                _ = Replicate(profile, name, seed, compute="never", progress=False).trained
            except ArtifactError:  # a damaged one fails again, and is named, when it is its turn
                found.append((name, seed))
    return found


def work(profile: Any, names: list[str], seed: int) -> None:
    """Train networks in this process; print a line of JSON for each."""
    from localspec.pipeline import Replicate

    for name in names:
        begin = time.monotonic()
        history = Replicate(profile, name, seed, progress=False).trained.history
        last = {quantity: float(values[-1]) for quantity, values in history.items()}
        print(
            json.dumps({"network": name, "seconds": time.monotonic() - begin, **last}), flush=True
        )


def command(arguments: argparse.Namespace, *more: str) -> list[str]:
    script = str(ROOT / "tools" / "train.py")
    return [sys.executable, script, arguments.profile, "--parent", str(os.getpid()), *more]


def start(arguments: argparse.Namespace, job: Job, events: queue.Queue) -> subprocess.Popen:
    """Start a job; what it prints and how it ends comes through `events`."""
    more = ["--networks", *job.networks, "--seeds", str(job.seed), "--worker", "train"]
    process = subprocess.Popen(
        command(arguments, *more),
        env={**os.environ, "OMP_NUM_THREADS": str(job.n_threads)},
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C is for the parent, which ends it
        text=True,
    )

    def read() -> None:
        for line in process.stdout:
            events.put((job, json.loads(line)))
        events.put((job, process.wait()))

    threading.Thread(target=read, daemon=True).start()
    return process


def describe(found: dict, seed: int) -> str:
    kind = "loss" if found["test_accuracy"] != found["test_accuracy"] else "accuracy"
    values = f"{kind} {found[f'train_{kind}']:.4f} in training, {found[f'test_{kind}']:.4f} in test"
    return f"{found['network']}, seed {seed}: {found['seconds']:.0f} s, {values}"


def run(arguments: argparse.Namespace, profile: Any, jobs: list[Job]) -> int:
    """Run all jobs; return how many failed."""
    from localspec.training_progress import duration

    events: queue.Queue = queue.Queue()
    waiting, failed, clock = list(jobs), 0, Clock(profile, arguments.cores)
    running: dict[Job, subprocess.Popen] = {}
    left = {job: list(job.networks) for job in jobs}
    total = sum(map(len, left.values()))
    bar = tqdm(total=total, unit="network", disable=None)

    def say(what: str) -> None:
        tqdm.write(f"{time.strftime('%H:%M:%S')}  {what}")
        sys.stdout.flush()

    try:
        while waiting or running:
            busy = sum(job.n_threads for job in running)
            while waiting and busy + waiting[0].n_threads <= arguments.cores:
                job = waiting.pop(0)
                running[job], busy = start(arguments, job, events), busy + job.n_threads
            job, event = events.get()
            if isinstance(event, dict):
                left[job].remove(event["network"])
                bar.update()
                clock.add(event["network"], event["seconds"])
                seconds = clock.left([(one, left[one]) for one in (*running, *waiting)])
                then = "" if seconds is None else f"; about {duration(seconds)} left"
                n_done = total - sum(map(len, left.values()))
                say(f"{n_done}/{total}  {describe(event, job.seed)}{then}")
                continue
            del running[job]
            if event:
                failed += 1
                say(f"{', '.join(left[job])}, seed {job.seed}: failed (exit status {event})")
    finally:
        for process in running.values():
            process.kill()  # it goes on from its checkpoint
        bar.close()
    return failed


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("profile", help="a file in notebooks/profiles without .yml, or a path")
    parser.add_argument(
        "--cores", type=int, default=2, help="threads at a time, of all processes together (2)"
    )
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="only these networks")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="only these seeds")
    parser.add_argument("--list", action="store_true", help="only list what is not stored yet")
    parser.add_argument("--worker", choices=("list", "train"), help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cores < 1:
        parser.error(f"--cores {arguments.cores}: give at least 1")
    return arguments


def select(arguments: argparse.Namespace) -> tuple[Any, list[int]]:
    """Return the profile with the chosen networks, and the chosen seeds."""
    from localspec.errors import choose
    from localspec.profiles import load_profile

    profile = load_profile(arguments.profile)
    names = arguments.networks or list(profile.networks)
    networks = {name: profile.networks[choose("network", name, profile.networks)] for name in names}
    seeds = [choose("seed", seed, profile.seeds) for seed in arguments.seeds or profile.seeds]
    return profile.model_copy(update={"networks": networks}), seeds


def ask_pending(arguments: argparse.Namespace) -> list[tuple[str, int]]:
    """Return what is not stored; found in another process, which takes the data with it."""
    more = []
    for option in ("networks", "seeds"):
        if getattr(arguments, option):
            more += [f"--{option}", *map(str, getattr(arguments, option))]
    done = subprocess.run(
        command(arguments, *more, "--worker", "list"), stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(done.returncode)  # it said why
    return [(name, seed) for name, seed in json.loads(done.stdout)]


def main() -> None:
    arguments = parse()
    from localspec.errors import LocalspecError

    if arguments.worker:
        die_with_parent(arguments.parent)
    os.environ["LOCALSPEC_RESULTS"] = str(results_root())
    try:
        profile, seeds = select(arguments)
        if arguments.worker == "list":
            print(json.dumps(pending_of(profile, seeds)))
            return
        if arguments.worker == "train":
            work(profile, list(profile.networks), seeds[0])
            return
    except LocalspecError as error:
        refuse(str(error))
    pending = ask_pending(arguments)
    print(
        f"{len(pending)} of {len(profile.networks) * len(seeds)} networks are not stored yet",
        flush=True,
    )
    if arguments.list:
        print("\n".join(f"{name}, seed {seed}" for name, seed in pending))
        return
    try:
        failed = run(arguments, profile, jobs_of(profile, pending, arguments.cores))
    except KeyboardInterrupt:
        refuse("stopped; the same command goes on where this one was")
    if failed:
        refuse(f"{failed} jobs failed, see above")


if __name__ == "__main__":
    main()
