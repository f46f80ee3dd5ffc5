"""A profile through Slurm: run on this machine and through a real Slurm of one node, and compared.

Usage: python tests/cluster/cluster.py [--profile NAME] [--jobs N] [--folder FOLDER]

`slurm.sh` starts the Slurm (as root, from Debian's slurmctld, slurmd, slurm-client and munge) and
stops it at the end. Both runs are of one copy of the project, each with an empty folder for
results; their tables and the keys of all they stored must be the same, byte for byte.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "cli"))
from kills import copy_project  # noqa: E402

SLURM = FOLDER / "slurm.sh"


def run(tree: Path, profile: str, results: Path, options: list[str]) -> None:
    """Run a profile in a copy of the project into an empty folder."""
    env = os.environ | {"LOCALSPEC_RESULTS": str(results), "PYTHONPATH": str(tree / "lib")}
    if "slurm" in options:
        env["SNAKEMAKE_PROFILE"] = str(FOLDER)  # config.yaml there
    command = [sys.executable, "-m", "localspec.cli", "run", *options, profile]
    subprocess.run(command, cwd=tree, env=env, check=True)


def outcome(results: Path, profile: str) -> dict[str, object]:
    """Return the tables of a run, and the stages and keys of each page."""
    folder = results / profile
    pages = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    tables = {path.name: path.read_bytes() for path in (folder / "tables").glob("*.csv")}
    return {"stages": {page: record["stages"] for page, record in pages.items()}, "tables": tables}


def compare(profile: str, n_jobs: int, folder: Path) -> int:
    """Run a profile both ways in `folder`; return the number of tables, which are the same.

    Raises
    ------
    SystemExit
        If tables or keys differ; the message names them.
    """
    name = copy_project(folder / "tree", profile)
    jobs = ["--jobs", str(n_jobs)]
    run(folder / "tree", name, folder / "local", jobs)
    subprocess.run([str(SLURM), "start"], check=True)
    try:
        run(folder / "tree", name, folder / "slurm", [*jobs, "--workflow", "slurm"])
    finally:
        subprocess.run([str(SLURM), "stop"], check=True)
    here, there = outcome(folder / "local", name), outcome(folder / "slurm", name)
    for kind, values in here.items():
        differing = [key for key in values if values[key] != there[kind].get(key)]
        if differing or values.keys() != there[kind].keys():
            raise SystemExit(f"{kind} differ: {', '.join(sorted(differing)) or 'their names'}")
    return len(here["tables"])


def main() -> None:
    """Compare, and say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", default="digits", help="a profile's name, or a file's path")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="an empty folder; by default a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="localspec-cluster-") as temporary:
        folder = arguments.folder or Path(temporary)
        n_tables = compare(arguments.profile, arguments.jobs, folder)
    print(f"{arguments.profile}: {n_tables} tables and all keys are the same through Slurm")


if __name__ == "__main__":
    main()
