"""The grid: which jobs there are, when they are current, and that pages are what they were."""

import json
import os
from pathlib import Path

import pytest
from helpers.processes import python

from localspec.cli._grid import (
    job_is_current,
    job_name,
    job_parameters,
    job_record,
    jobs_to_do,
    networks_to_train,
    replicates_of,
    stale_jobs,
)
from localspec.cli._stamp import entry_hashes
from localspec.pipeline import STAGES, load_profile

NETWORK = {"dataset": "digits", "hidden": [24, 16], "n_epochs": 2, "n_threads": 1}
GRID = {
    "networks": {"mlp": NETWORK, "mlp-pruned": {**NETWORK, "n_pruning_epochs": 1}},
    "seeds": [0, 1],
    "method": {"n_clusters": 3, "n_shuffles": 2, "n_images": 60, "n_draws": 2, "n_steps": 1},
}
# what a section's notebook does, without figures
IMPORTANCE = """
from localspec.pipeline import *
section = ImportanceSection(
    profile=profile, networks=networks, seeds=seeds, compute=compute, n_clusters=n_clusters,
    n_draws=n_draws, conventions=conventions,
)
replicates = open_replicates(section)
write_table(network_test_table(replicates, ["importance"]), "importance", profile=profile)
"""


@pytest.fixture
def small(project):
    project({"01_training": "1", "03_importance": IMPORTANCE, "your_network": "1"}, **GRID)
    return load_profile("small")


def test_networks_are_trained_seed_by_seed_for_the_pages_that_want_them(small):
    pairs = [("mlp", 0), ("mlp-pruned", 0), ("mlp", 1), ("mlp-pruned", 1)]
    assert networks_to_train(small, ["03_importance", "your_network"]) == pairs
    assert networks_to_train(small, ["your_network", "06_controls"]) == []
    sections = {"03_importance": {"seeds": [1]}}
    own = small.model_copy(update={"sections": sections})
    assert networks_to_train(own, ["03_importance"]) == pairs[2:]
    assert replicates_of(own, "your_network") == []


def test_a_job_is_current_as_long_as_entry_notebook_stages_and_artifacts_are(small, tmp_path):
    results, page = tmp_path / "results", "03_importance"
    path = results / "small" / ".jobs" / page / "mlp" / "0.json"
    artifact = results / "artifacts" / "lesions" / "k.safetensors"
    for folder in (path.parent, artifact.parent):
        folder.mkdir(parents=True)
    artifact.touch()
    entries = [{"stage": "lesions", "key": "k"}, {"stage": "draws", "key": "d"}, {"device": "cpu"}]

    def hashes(profile):
        return entry_hashes(profile, page, job_parameters(profile, page, "mlp", 0))

    record = job_record(entries, hashes(small), results)
    assert record["artifacts"] == [("lesions", "k")]  # draws are never stored
    path.write_text(json.dumps(record))
    assert job_is_current(path, hashes(small), results)
    assert stale_jobs(small, [page], results) == []
    # another network or seed changes nothing for this one, its own settings do
    assert hashes(small.model_copy(update={"seeds": [0, 5]})) == hashes(small)
    other = small.networks["mlp"].model_copy(update={"l2": 0.5})
    changed = small.model_copy(update={"networks": small.networks | {"mlp": other}})
    assert not job_is_current(path, hashes(changed), results)
    path.write_text(json.dumps(record | {"versions": {"lesions": STAGES["lesions"] + 1}}))
    assert not job_is_current(path, hashes(small), results)
    path.write_text(json.dumps(record))
    artifact.unlink()
    assert not job_is_current(path, hashes(small), results)
    path.write_text("{")
    assert stale_jobs(small, [page], results) == [path]
    name = job_name(page, "mlp", 0)
    assert name in jobs_to_do(small, [page], [], results, [path])
    assert name not in jobs_to_do(small, [page], [], results)


def run(results: Path, *arguments: str) -> list[str]:
    environment = os.environ | {"LOCALSPEC_RESULTS": str(results)}
    done = python("-m", "localspec.cli", "run", "small", *arguments, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def content(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted(folder.glob("*.ipynb"))}
    found |= {path.name: path.read_bytes() for path in sorted((folder / "tables").glob("*"))}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found[path.name] = json.dumps({**record, "information": None}).encode()
    return found


@pytest.mark.notebook
def test_one_job_for_each_network_and_seed_and_the_page_is_what_it_was(project, tmp_path):
    project({"03_importance": IMPORTANCE}, **GRID | {"seeds": [1]})
    one, two = tmp_path / "one", tmp_path / "two"
    said = run(one, "--cores", "1")
    jobs = ["03_importance (mlp, seed 1)", "03_importance (mlp-pruned, seed 1)", "03_importance"]
    for job in jobs:
        assert sum(line.startswith(f"{job}: done") for line in said) == 1
    assert sum("accuracy" in line for line in said) == 2
    # as before there was a grid: a page that computes everything itself
    environment = os.environ | {"LOCALSPEC_RESULTS": str(two)}
    page = ["page", "small", "03_importance"]
    python("-m", "localspec.cli", *page, env=environment, check=True)
    assert content(one / "small") == content(two / "small")
    parameters = json.loads((one / "small" / "03_importance.json").read_text())["parameters"]
    assert parameters["compute"] == "auto"
    assert parameters["networks"] == ["mlp", "mlp-pruned"]
    assert run(one) == []
    # what is damaged is computed again, by its job
    damaged = next((one / "artifacts" / "lesions").glob("*.safetensors"))
    damaged.write_bytes(b"no artifact")
    (one / "small" / "03_importance.json").unlink()
    said = run(one)
    assert "stored results are missing or damaged: they are computed" in said
    assert said[-1].startswith("03_importance: done")
    assert content(one / "small") == content(two / "small")
