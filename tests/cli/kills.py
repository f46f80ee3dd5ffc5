"""Killed runs: a profile is run, killed at random moments, run on, and the results compared.

Usage: python tests/cli/kills.py [--profile NAME] [--kills N] [--seed N] [--folder FOLDER]

The long form, ten kills on digits, is what it does without options. In a copy of the project, `make
run` is first left undisturbed; its tables are what all others must end with, byte for byte. Then it
is started again and again and stopped at moments drawn from the seed (make, the run itself, which
holds Snakemake and its executor, its whole group or one of its jobs is killed with SIGKILL, or make
is sent SIGTERM), going on where the last kill left it and starting from nothing after each time it
reached the end. After each kill no process of the run may live on and no file change. Last, two
runs are started at once in what the kills left. Pages of a profile that is given as a path draw no
figures, which take most of their time.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Makefile", "Snakefile", "pyproject.toml", "requirements.lock", "requirements-torch.txt")
COPIED_FOLDERS = ("lib", "notebooks", "profiles")
TOKEN = "LOCALSPEC_KILLS_TOKEN"  # in the environment of every process of a run
VICTIMS = ("make", "stop", "run", "group", "job")
LOOKS = 5  # in a row, a tenth of a second apart
GONE_WITHIN_S = 60.0
OUTSIDE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CORES", "VERBOSE", "LOCALSPEC_RECORD")


def copy_project(tree: Path, profile: str) -> str:
    """Copy what a run needs into `tree`, so that edits do not disturb it; return the profile."""
    tree.mkdir(parents=True)
    for name in COPIED:
        shutil.copy2(ROOT / name, tree / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ipynb_checkpoints")
    for name in COPIED_FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    (tree / ".venv").symlink_to(sys.prefix)
    path = Path(profile)
    if path.suffix == ".yml":
        shutil.copy2(path, tree / "notebooks" / "profiles" / path.name)
        for notebook in (tree / "notebooks").glob("*.ipynb"):
            draw_nothing(notebook)
    return path.stem


def draw_nothing(path: Path) -> None:
    """Take the cells that plot out of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [
        cell for cell in notebook.cells if "plot_" not in cell.source or "import" in cell.source
    ]
    nbformat.write(notebook, path)


@dataclass
class Bench:
    """A copy of the project, one results folder, and what went wrong so far."""

    folder: Path
    profile: str
    problems: list[str] = field(default_factory=list)
    runs: list["Run"] = field(default_factory=list)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def say(self, text: str) -> None:
        print(text, flush=True)

    def require(self, condition: bool, problem: str) -> None:
        if not condition:
            self.problems.append(problem)
            self.say(f"  PROBLEM: {problem}")

    def start(self) -> "Run":
        """Start `make run` in a process group of its own."""
        token = uuid.uuid4().hex
        environment = {name: text for name, text in os.environ.items() if name not in OUTSIDE}
        environment |= {
            TOKEN: token,
            "LOCALSPEC_RESULTS": str(self.results),
            "PYTHONPATH": str(self.folder / "tree" / "lib"),
        }
        command = ["make", "--old-file=.venv/.installed", "run", f"PROFILE={self.profile}"]
        with open(self.folder / "log.txt", "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder / "tree",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runs.append(Run(process, token))
        return self.runs[-1]

    def to_the_end(self) -> None:
        run = self.start()
        self.require(run.process.wait() == 0, "a run that was let alone failed, see log.txt")

    def pages(self) -> list[str]:
        return sorted(path.stem for path in (self.results / self.profile).glob("*.json"))

    def outcome(self) -> dict[str, object]:
        """Return tables as bytes, and of each page's record what does not depend on the run."""
        folder = self.results / self.profile
        outcome: dict[str, object] = {
            path.name: path.read_bytes() for path in sorted((folder / "tables").glob("*"))
        }
        for page in self.pages():
            record = json.loads((folder / f"{page}.json").read_text(encoding="utf-8"))
            outcome[page] = {key: record[key] for key in ("parameters", "stages", "tables")}
        return outcome

    def files(self) -> dict[str, tuple[int, int]]:
        """Return size and time of every file under the results."""
        files = {}
        for path in self.results.rglob("*"):
            if path.is_file():
                state = path.stat()
                files[str(path)] = (state.st_size, state.st_mtime_ns)
        return files


@dataclass
class Run:
    """A `make run` and all that descends from it."""

    process: subprocess.Popen
    token: str

    def alive(self) -> list[psutil.Process]:
        """Return its living processes, wherever they hang by now."""
        processes = []
        for process in psutil.process_iter(["cmdline"]):
            with contextlib.suppress(psutil.Error):  # gone meanwhile, or somebody else's
                zombie = process.status() == psutil.STATUS_ZOMBIE
                if process.environ().get(TOKEN) == self.token and not zombie:
                    processes.append(process)
        return processes

    def stop(self) -> None:
        """End whatever is left of it."""
        for process in self.alive():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def jobs(self) -> list[psutil.Process]:
        """Return the processes that are jobs of Snakemake."""
        jobs = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "job" in process.cmdline():
                    jobs.append(process)
        return jobs

    def kill(self, victim: str) -> None:
        jobs = self.jobs() if victim == "job" else []
        if jobs:  # the others go on to their end
            jobs[0].kill()
        elif victim == "group":
            os.killpg(self.process.pid, signal.SIGKILL)
        elif victim == "stop":
            self.process.terminate()
        elif victim == "run":
            children = psutil.Process(self.process.pid).children()
            os.kill(children[0].pid if children else self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()

    def seconds_until_gone(self, at_most_s: float) -> float:
        """Wait until nothing of it is alive; return how long that took, or infinity.

        A process has no readable environment while it becomes another program: one look that finds
        nothing may have missed it, so several in a row must.
        """
        start, n_empty, gone_s = time.monotonic(), 0, 0.0
        while time.monotonic() - start < at_most_s:
            if self.alive():
                n_empty = 0
            else:
                gone_s = gone_s if n_empty else time.monotonic() - start
                n_empty += 1
                if n_empty == LOOKS:
                    return gone_s
            time.sleep(0.1)
        return float("inf")


def compare(bench: Bench, expected: dict[str, object], when: str) -> None:
    outcome = bench.outcome()
    for name in sorted(expected.keys() | outcome.keys()):
        bench.require(outcome.get(name) == expected.get(name), f"{when}: {name} differs")
    bench.require(not list(bench.results.glob("*/*.partial.ipynb")), f"{when}: a partial page")


def check_quiet(
    bench: Bench, run: Run, *, gone_within_s: float = GONE_WITHIN_S, quiet_s: float = 1.0
) -> float:
    """Require that nothing of a killed run lives on or writes; return when the last was gone.

    The children of a killed process notice it within a second or two; kernels once they are up,
    which takes its time on a busy machine.
    """
    gone_s = run.seconds_until_gone(gone_within_s)
    left = ", ".join(" ".join(process.info["cmdline"][:3]) for process in run.alive())
    bench.require(not left, f"still alive {gone_within_s} s after the kill: {left}")
    before = bench.files()
    time.sleep(quiet_s)
    after = bench.files()
    changed = sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    bench.require(not changed, f"changed after the kill: {', '.join(changed)}")
    return gone_s


def kill_and_resume(bench: Bench, expected: dict, n_kills: int, rng: random.Random, span_s: float):
    """Kill `n_kills` runs, each at a moment drawn from the length of an undisturbed one."""
    n_done = 0
    while n_done < n_kills:
        moment_s, victim = rng.uniform(0, span_s), VICTIMS[n_done % len(VICTIMS)]
        run = bench.start()
        try:
            run.process.wait(timeout=moment_s)
        except subprocess.TimeoutExpired:
            n_done += 1
            run.kill(victim)
            said = f"kill {n_done} of {n_kills}: {victim} after {moment_s:.1f} s"
            said += f", pages done: {' '.join(bench.pages()) or 'none'}"
            if n_done % 2:  # every second time the next run starts at once
                said += f"; last process gone after {check_quiet(bench, run):.1f} s"
            else:
                said += "; started again at once"
            bench.say(said)
        else:
            bench.require(run.process.returncode == 0, "a resumed run failed, see log.txt")
            compare(bench, expected, f"after kill {n_done}")
            bench.say("reached the end before the next kill; from nothing again")
            shutil.rmtree(bench.results)
        for earlier in bench.runs[:-1]:
            gone_s = earlier.seconds_until_gone(GONE_WITHIN_S)
            bench.require(gone_s <= GONE_WITHIN_S, "processes of an earlier run are still alive")


def two_at_once(bench: Bench, expected: dict) -> None:
    """Start two runs at once; one may be refused, the tables must be right in the end."""
    runs = [bench.start(), bench.start()]
    codes = [run.process.wait() for run in runs]
    bench.say(f"two at once: exit codes {codes[0]} and {codes[1]}")
    bench.require(0 in codes, "of two runs at once none ended well, see log.txt")
    compare(bench, expected, "after the last kill and two runs at once")


def kill_runs(profile: str, n_kills: int, seed: int, folder: Path) -> list[str]:
    """Run the whole check in an empty folder; return what went wrong."""
    bench = Bench(folder, copy_project(folder / "tree", profile))
    try:
        check(bench, n_kills, random.Random(seed))
    finally:
        for run in bench.runs:
            run.stop()
    return bench.problems


def check(bench: Bench, n_kills: int, rng: random.Random) -> None:
    start = time.monotonic()
    bench.to_the_end()
    span_s = time.monotonic() - start
    expected = bench.outcome()
    n_tables = sum(isinstance(value, bytes) for value in expected.values())
    bench.say(f"undisturbed: {span_s:.1f} s, {len(bench.pages())} pages, {n_tables} tables")
    bench.require(n_tables > 0, "the undisturbed run wrote no table")
    shutil.rmtree(bench.results)
    kill_and_resume(bench, expected, n_kills, rng, span_s)
    two_at_once(bench, expected)
    minutes = (time.monotonic() - start) / 60
    bench.say(f"{n_kills} kills, {len(bench.problems)} problems, {minutes:.1f} min")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="digits", help="name or path (.yml) of a profile")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="new folder to work in and keep")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary) / "kills").resolve()
        problems = kill_runs(arguments.profile, arguments.kills, arguments.seed, folder)
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()
