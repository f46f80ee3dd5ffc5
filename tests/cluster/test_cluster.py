"""A tiny profile through a real Slurm; the long form, digits, is `make test-cluster`."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
NEEDED = ("slurmctld", "slurmd", "sbatch", "munged")


def why_not() -> str | None:
    """Return why no Slurm can be started here, if so."""
    missing = [name for name in NEEDED if shutil.which(name, path="/usr/sbin:/usr/bin") is None]
    if missing:
        return f"needs Debian's slurmctld, slurmd, slurm-client and munge ({', '.join(missing)})"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "needs the extra slurm of pyproject.toml"
    return None if os.geteuid() == 0 else "needs root, to start a Slurm"


@pytest.mark.cluster
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_the_same_tables_and_keys_through_slurm(tmp_path):
    script, profile = FOLDER / "cluster.py", FOLDER / "tiny.yml"
    done = subprocess.run(
        [sys.executable, script, "--profile", profile, "--folder", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 tables and all keys are the same through Slurm" in done.stdout
