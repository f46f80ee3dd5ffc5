"""Run the pages of a profile that are not current, in their order, by Snakemake.

Usage: python tools/run.py [--parent PID] [--verbose] [--cores N] [PROFILE]
"""

import argparse
import fcntl
import json
import os
from pathlib import Path

from project import NOTEBOOKS, ROOT, die_with_parent, refuse, results_root, shown, table_problem


def lock(folder: Path) -> int:
    """Let one run at a time use `folder`; the lock goes with the process, however it ends."""
    handle = os.open(folder / ".run.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        refuse(f"another run is using {shown(folder)}: wait for it, or set LOCALSPEC_RESULTS")
    return handle


def drop_stale_markers(folder: Path) -> None:
    """Remove markers whose tables are not those of the run: their pages are run again."""
    for marker in folder.glob("*.json"):
        try:
            record = json.loads(marker.read_text(encoding="utf-8"))
            problem = table_problem(record, folder / "tables")
        except (ValueError, KeyError, TypeError, AttributeError):
            problem = "its record cannot be read"
        if problem:
            print(f"{marker.stem}: {problem}; running it again")
            marker.unlink()


def check(profile: str) -> None:
    """Refuse a profile that does not exist or is not allowed, and one without its notebooks."""
    from localspec.errors import LocalspecError
    from localspec.profiles import load_profile

    if Path(profile).suffix:
        refuse(f"{profile!r} is not a profile's name: put the file into notebooks/profiles")
    try:
        pages = load_profile(profile).pages
    except LocalspecError as error:
        refuse(str(error))
    missing = [page for page in pages if not (NOTEBOOKS / f"{page}.ipynb").is_file()]
    if missing:
        refuse(f"no notebooks/*.ipynb for {', '.join(missing)}: make sync")


def snakemake(profile: str, results: Path, cores: int, verbose: bool) -> None:
    """Run Snakemake in this process; its folder .snakemake lies in `results`."""
    from snakemake.cli import main

    arguments = [
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(results),
        "--cores",
        str(cores),
        "--config",
        f"profile={profile}",
        # our lock needs no unlocking after a kill
        "--nolock",
        "--rerun-incomplete",
        *([] if verbose else ["--quiet", "all"]),
    ]
    try:
        main(arguments)
    except SystemExit as end:
        if end.code and not verbose:
            refuse("the run stopped (VERBOSE=1 shows Snakemake's own account)")
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", nargs="?", default="digits")
    parser.add_argument("--cores", type=int, default=2, help="pages at a time, each on one core")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this caller ends")
    parser.add_argument("--verbose", action="store_true", help="show what Snakemake says")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    os.chdir(ROOT)
    check(arguments.profile)
    results = results_root()
    results.mkdir(parents=True, exist_ok=True)
    os.environ["LOCALSPEC_RESULTS"] = str(results)  # jobs start elsewhere: no relative path
    os.environ["LOCALSPEC_RUN"] = str(os.getpid())  # whose end the pages watch
    handle = lock(results)
    drop_stale_markers(results / arguments.profile)
    snakemake(arguments.profile, results, arguments.cores, arguments.verbose)
    os.close(handle)


if __name__ == "__main__":
    main()
