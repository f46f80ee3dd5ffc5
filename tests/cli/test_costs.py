"""Costs: what is measured of jobs, and the estimate of a run."""

import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from helpers.refusals import disk_full

from localspec.cli import main
from localspec.cli._costs import (
    START,
    Cost,
    core_seconds,
    cost_of,
    estimate,
    read_costs,
    table_path,
    write_costs,
)
from localspec.exceptions import ArtifactError
from localspec.pipeline import load_profile

TRAIN = ("train", "digits", "mlp", "epoch")
PAGE = ("page", "", "", "page")  # that loads what its jobs computed
GALLERY = ("12_gallery", "digits", "", "page")
CLUSTER = ("02_clustering", "digits", "mlp", "network and seed")


@pytest.fixture
def small(project):
    project({"02_clustering": "1", "12_gallery": "1"})
    return load_profile("small")


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        (
            {TRAIN: Cost(600.0, 2.0), CLUSTER: Cost(1750.0, 3.0), PAGE: Cost(500.0, 0.0)}
            | {START: Cost(50.0, 0.0)},
            "about 1 core hours and 5 MB, without those that were never measured: 12_gallery (1)",
        ),
        (
            {TRAIN: Cost(600.0, 2.0), CLUSTER: Cost(900.0, 3.0), PAGE: Cost(600.0, 0.0)}
            | {GALLERY: Cost(900.0, 1.0)},
            "about 1 core hours and 6 MB",
        ),
        (  # what other data took says little
            {("train", "mnist", "mlp", "epoch"): Cost(900.0, 1.0), CLUSTER: Cost(1800.0, 1.0)},
            "about 0.5 core hours and 1 MB, without those that were never measured: "
            "02_clustering (1), 12_gallery (1), train (1)",
        ),
        ({}, "what they take was never measured"),
    ],
)
def test_an_estimate_sums_what_was_measured(small, costs, words):
    jobs = ["train/mlp/0", "02_clustering/mlp/0", "02_clustering", "12_gallery"]  # of two epochs
    said = estimate(small, jobs, costs)
    assert said == f"small: 4 jobs (1 02_clustering, 2 pages, 1 train): {words}"


def test_jobs_that_draw_take_longer_with_more_draws(project):
    project({"03_importance": "1", "04_coherence": "1"})
    small = load_profile("small")
    n_draws = small.parameters("03_importance")["n_draws"]
    kind = ("03_importance", "digits", "mlp", "draw")
    costs = {kind: Cost(3600.0 / (n_draws + 1), 8.0 / (n_draws + 1))}
    said = estimate(small, ["03_importance/mlp/0"], costs)
    assert said == "small: 1 jobs (1 03_importance): about 1 core hours and 8 MB"
    more = small.model_copy(
        update={"method": small.method.model_copy(update={"n_draws": 10 * n_draws + 9})}
    )
    said = estimate(more, ["03_importance/mlp/0"], costs)
    assert said == "small: 1 jobs (1 03_importance): about 10 core hours and 80 MB"


def test_a_job_is_measured_if_its_run_computed_all_that_it_needs(tmp_path):
    folder = tmp_path / "artifacts" / "lesions"
    folder.mkdir(parents=True)
    for key, date in (("old", 10), ("earlier", 20), ("own", 30)):
        (folder / f"{key}.safetensors").write_bytes(b"12345")
        os.utime(folder / f"{key}.safetensors", (date, date))
    times = {"job_began": 25, "run_began": 15, "seconds": 3.0, "start": 1.5}
    earlier, own, published = ("lesions", "earlier"), ("lesions", "own"), ("training", "elsewhere")
    cost = cost_of([earlier, own, published], tmp_path, **times)
    assert cost == {"seconds": 3.0, "start": 1.5, "bytes": 5, "measured": True}
    assert not cost_of([own, ("lesions", "old")], tmp_path, **times)["measured"]
    assert not cost_of([published], tmp_path, **times)["measured"]


def test_core_seconds_are_those_of_ended_children_too():
    before = core_seconds()
    busy = "import time\nwhile time.process_time() < 1: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert 0.9 < core_seconds() - before < 3.0


def test_the_table_is_written_from_records_and_read_by_a_dry_run(small, tmp_path):
    folder = tmp_path / "results" / "small" / ".jobs"
    times = {"train/mlp/0": 4.0, "02_clustering/mlp/0": 36.0, "02_clustering": 8.0}
    for job, seconds in times.items():
        path = folder / f"{job}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        measured = job != "02_clustering"  # it stores nothing itself
        cost = {"seconds": seconds, "start": 3.0, "bytes": 2_000_000, "measured": measured}
        path.write_text(json.dumps({"cost": cost}))
    done = CliRunner().invoke(main, ["costs", "small"])
    assert done.exit_code == 0, done.stderr
    table = tmp_path / "project" / "notebooks" / "profiles" / "costs.csv"
    costs = {TRAIN: Cost(2.0, 2.0), CLUSTER: Cost(36.0, 2.0), PAGE: Cost(8.0, 2.0)}
    assert read_costs(table) == costs | {START: Cost(3.0, 0.0)}
    (folder / "02_clustering" / "mlp" / "0.json").write_text("{")
    done = CliRunner().invoke(main, ["run", "small", "--dry"])
    assert done.exit_code == 0, done.stderr
    said, *jobs = done.stdout.splitlines()
    assert said.startswith("small: 4 jobs (1 02_clustering, 2 pages, 1 train): about 0.016 core")
    of_mlp = ["training of mlp, seed 0", "02_clustering (mlp, seed 0)"]
    assert jobs == [*of_mlp, "02_clustering", "12_gallery"]
    assert not (folder.parent / "02_clustering.json").exists()
    (table.parent / "costs.csv").unlink()
    done = CliRunner().invoke(main, ["costs", "small"])
    assert done.exit_code == 0  # the training is still there


@pytest.mark.parametrize(
    "content", ["job,seconds\ntrain,1\n", "<<<<<<< HEAD\n", "\xff", "HEADER,many,2\n"]
)
def test_a_damaged_table_is_named(small, content):
    header = "job,dataset,architecture,unit,seconds,megabytes\ntrain,digits,mlp,epoch"
    path = table_path()
    path.write_bytes(content.replace("HEADER", header).encode("latin-1"))
    if "<<<" in content:  # as a merge leaves it
        path.write_text(f"{header},1,1\n{content}")
    done = CliRunner().invoke(main, ["costs", "small"])
    assert "no job of small was measured" in done.stderr
    with pytest.raises(click.ClickException, match=r"costs.csv cannot be read .*restore it with"):
        estimate(small, ["train/mlp/0"])


def test_a_full_disk_leaves_the_older_table(small, monkeypatch):
    write_costs({TRAIN: Cost(2.0, 2.0)}, table_path())
    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(ArtifactError, match="the disk is full"):
        write_costs({TRAIN: Cost(3.0, 2.0)}, table_path())
    assert read_costs(table_path()) == {TRAIN: Cost(2.0, 2.0)}
