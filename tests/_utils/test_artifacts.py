"""Load-or-compute on disk: identity, damage, failures while writing."""

import errno
import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pytest

from localspec._utils import files
from localspec._utils.artifacts import (
    artifact_key,
    artifact_path,
    cached,
    check_artifact,
    stored_path,
    take_apart,
)
from localspec._utils.files import project_root, results_root, write_atomically
from localspec.exceptions import ArtifactError, ArtifactWarning, InvalidInputError

PARAMETERS = {"n_clusters": 6, "rate": 0.5, "scope": "local"}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    monkeypatch.delenv(files.RESULTS_VARIABLE, raising=False)
    monkeypatch.delenv(files.RECORD_VARIABLE, raising=False)


class Computation:
    """Something to compute that counts how often it was."""

    def __init__(self, value=1.0):
        self.n_calls, self.value = 0, value

    def __call__(self):
        self.n_calls += 1
        return {"values": np.array([self.value, 2.0])}, {"sizes": [1, 2], "name": "a"}


def never():
    pytest.fail("nothing should be computed here")


def stored(root):
    return sorted(root.glob("artifacts/*/*.safetensors"))


def test_computes_once_and_loads_after(tmp_path):
    compute = Computation()
    first = cached("clustering", 1, PARAMETERS, compute, root=tmp_path)
    second = cached("clustering", 1, PARAMETERS, never, root=tmp_path)
    assert compute.n_calls == 1
    assert first.key == second.key
    assert second.arrays["values"].tolist() == [1, 2]
    assert first.description == second.description == {"sizes": [1, 2], "name": "a"}
    assert len(stored(tmp_path)) == 1


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "double": np.arange(6.0).reshape(2, 3),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "strided": np.arange(10)[::3],
        "single": np.float32([1 / 3]),
        "labels": np.array([-1, 0, 2**40]),
        "mask": np.array([True, False]),
        "empty": np.empty((3, 0)),
        "undefined": np.array([np.nan, np.inf, -0.0]),
    }
    cached("lesions", 1, {}, lambda: (arrays, {}), root=tmp_path)
    loaded = cached("lesions", 1, {}, never, root=tmp_path).arrays
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert np.array_equal(loaded[name], array, equal_nan=array.dtype.kind == "f")


def test_never_computes_nothing_and_names_the_stage(tmp_path):
    with pytest.raises(ArtifactError, match="stage 'clustering' has not been computed") as caught:
        cached("clustering", 1, PARAMETERS, never, root=tmp_path, mode="never")
    assert '"n_clusters": 6' in str(caught.value)  # the message names the job
    assert not stored(tmp_path)
    cached("clustering", 1, PARAMETERS, Computation(), root=tmp_path)
    cached("clustering", 1, PARAMETERS, never, root=tmp_path, mode="never")


def test_always_computes_again_and_replaces(tmp_path):
    cached("clustering", 1, PARAMETERS, Computation(1.0), root=tmp_path)
    compute = Computation(7.0)
    again = cached("clustering", 1, PARAMETERS, compute, root=tmp_path, mode="always")
    assert compute.n_calls == 1
    assert again.arrays["values"].tolist() == [7, 2]
    loaded = cached("clustering", 1, PARAMETERS, never, root=tmp_path)
    assert loaded.arrays["values"].tolist() == [7, 2]
    assert len(stored(tmp_path)) == 1


def test_unknown_mode(tmp_path):
    with pytest.raises(InvalidInputError, match="choose one of 'auto', 'never', 'always'"):
        cached("clustering", 1, {}, never, root=tmp_path, mode="sometimes")


KEY = artifact_key("clustering", 1, PARAMETERS, ("a", "b"))


@pytest.mark.parametrize(
    "identity",
    [
        ("draws", 1, PARAMETERS, ("a", "b")),
        ("clustering", 2, PARAMETERS, ("a", "b")),
        ("clustering", 1, {**PARAMETERS, "n_clusters": 7}, ("a", "b")),
        ("clustering", 1, {**PARAMETERS, "rate": 0.5 + 1e-15}, ("a", "b")),
        ("clustering", 1, {**PARAMETERS, "scope": None}, ("a", "b")),
        ("clustering", 1, {**PARAMETERS, "dtype": "float64"}, ("a", "b")),
        ("clustering", 1, {"n_clusters": 6, "rate": 0.5}, ("a", "b")),
        ("clustering", 1, PARAMETERS, ("b", "a")),
        ("clustering", 1, PARAMETERS, ("a",)),
        ("clustering", 1, PARAMETERS, ("ab",)),
    ],
)
def test_every_part_is_in_the_key(identity):
    assert artifact_key(*identity) != KEY


def test_the_order_of_parameters_is_not_in_the_key():
    backwards = dict(reversed(PARAMETERS.items()))
    assert artifact_key("clustering", 1, backwards, ("a", "b")) == KEY


def test_the_key_is_the_same_on_every_machine():
    # sha256 of this text, first 32 hexadecimal digits
    text = '{"inputs":["a"],"parameters":{"n":1,"x":0.5},"stage":"draws","version":3}'
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    assert artifact_key("draws", 3, {"x": 0.5, "n": 1}, ("a",)) == expected


def test_parameters_must_have_one_meaning():
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifact_key("clustering", 1, {"rate": float("nan")}, ())


def test_different_identities_are_different_files(tmp_path):
    for version in (1, 2):
        cached("clustering", version, PARAMETERS, Computation(version), root=tmp_path)
    assert len(stored(tmp_path)) == 2
    loaded = cached("clustering", 2, PARAMETERS, never, root=tmp_path)
    assert loaded.arrays["values"].tolist() == [2, 2]


def test_always_mends_a_damaged_file(tmp_path):
    cached("clustering", 1, PARAMETERS, Computation(), root=tmp_path)
    stored(tmp_path)[0].write_bytes(b"")
    cached("clustering", 1, PARAMETERS, Computation(), root=tmp_path, mode="always")
    cached("clustering", 1, PARAMETERS, never, root=tmp_path)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "artifacts").write_text("")
    with pytest.raises(ArtifactError, match=r"cannot write .*LOCALSPEC_RESULTS"):
        write_atomically(tmp_path / "artifacts" / "table.csv", lambda part: None)


def test_writing_atomically_replaces_or_leaves(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_atomically(path, lambda part: part.write_text("old"))
    assert path.read_text() == "old"

    def fail(part):
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ArtifactError, match="No space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]
    write_atomically(path, lambda part: part.write_text("new"))
    assert path.read_text() == "new"


def test_a_failing_computation_leaves_nothing_and_holds_no_lock(tmp_path):
    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cached("clustering", 1, PARAMETERS, fail, root=tmp_path)
    assert not stored(tmp_path)
    assert cached("clustering", 1, PARAMETERS, Computation(), root=tmp_path).arrays


def test_files_can_be_read_by_others(tmp_path):
    # temporary files are private; what is stored must be as open as any other new file
    cached("clustering", 1, PARAMETERS, Computation(), root=tmp_path)
    write_atomically(tmp_path / "table.csv", lambda part: part.write_text("a"))
    (tmp_path / "plain").write_text("a")
    expected = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "table.csv").stat().st_mode == expected
    assert stored(tmp_path)[0].stat().st_mode == expected


def test_stages_are_recorded_whether_loaded_or_computed(tmp_path, monkeypatch):
    path = tmp_path / "record.jsonl"
    monkeypatch.setenv(files.RECORD_VARIABLE, str(path))
    artifact = cached("clustering", 1, PARAMETERS, Computation(), root=tmp_path)
    cached("clustering", 1, PARAMETERS, never, root=tmp_path)
    files.record(table="ncut.csv", sha256="00")
    entry = {"stage": "clustering", "version": 1, "key": artifact.key}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [entry, entry, {"table": "ncut.csv", "sha256": "00"}]


def test_without_a_record_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.record(stage="clustering", version=1, key="00")
    assert not list(tmp_path.iterdir())


def test_results_root(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "profiles").mkdir(parents=True)
    inside = tmp_path / "results" / "digits"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert project_root() == tmp_path.resolve()
    assert results_root() == tmp_path.resolve() / "results"
    monkeypatch.setenv(files.RESULTS_VARIABLE, str(tmp_path / "elsewhere"))
    assert results_root() == tmp_path / "elsewhere"
    cached("clustering", 1, {}, Computation())
    assert len(stored(tmp_path / "elsewhere")) == 1


def test_a_published_network_is_found_by_its_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks" / "profiles").mkdir(parents=True)
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "first"))
    made = cached("training", 1, {"seed": 0}, lambda: ({"w": np.arange(3.0)}, {"n": 1}))
    path = artifact_path("training", made.key)
    assert stored_path("training", made.key) == path
    folder = tmp_path / "book" / "runs" / "mine" / "networks"
    folder.mkdir(parents=True)
    published = folder / "mlp-seed0.safetensors"
    path.rename(published)
    other = cached("training", 1, {"seed": 2}, lambda: ({}, {}))
    artifact_path("training", other.key).rename(folder / "mlp-seed2.safetensors")
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "second"))
    assert stored_path("training", made.key) == published
    artifact = cached("training", 1, {"seed": 0}, pytest.fail, mode="never")
    assert artifact.arrays["w"].tolist() == [0.0, 1.0, 2.0]
    assert artifact.description == {"n": 1}
    assert stored_path("training", "0" * 32) is None
    # another seed has another key
    with pytest.raises(ArtifactError, match="has not been computed"):
        cached("training", 1, {"seed": 1}, pytest.fail, mode="never")
    damaged = bytearray(published.read_bytes())
    damaged[-1] ^= 1
    published.write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"mlp-seed0.* is damaged .*: restore it with git"):
        cached("training", 1, {"seed": 0}, never, mode="never")
    with pytest.warns(ArtifactWarning, match=r"mlp-seed0.* is damaged .*: it is computed again"):
        cached("training", 1, {"seed": 0}, lambda: ({"w": np.arange(3.0)}, {"n": 1}))
    assert stored_path("training", made.key) == artifact_path("training", made.key)
    assert published.read_bytes() == damaged  # git's to restore
    (folder / "cnn-seed0.safetensors").write_bytes(b"half of it")
    with pytest.warns(ArtifactWarning, match=r"cnn-seed0.* is damaged .*: left out; restore it"):
        assert stored_path("training", "0" * 32) is None


def test_every_published_network_has_the_right_digest():
    networks = sorted((project_root() / "book" / "runs").glob("*/networks/*.safetensors"))
    assert networks
    for path in networks:
        check_artifact(path)


@dataclass(frozen=True)
class Part:
    """A part of a result."""

    name: str
    start: int


@dataclass(frozen=True)
class Made:
    """A result of arrays, a number and parts."""

    values: np.ndarray
    score: float
    parts: tuple[Part, ...]


def test_a_result_is_taken_apart_and_rebuilt(tmp_path):
    made = Made(np.arange(3), float("nan"), (Part("a", 0), Part("b", 2)))
    cached("draws", 1, {}, lambda: take_apart(made), root=tmp_path)
    loaded = cached("draws", 1, {}, never, root=tmp_path)
    assert list(loaded.arrays) == ["values"]
    assert loaded.description["parts"] == [{"name": "a", "start": 0}, {"name": "b", "start": 2}]
    again = loaded.rebuild(Made)
    assert again.values.tolist() == [0, 1, 2]
    assert np.isnan(again.score)
    arrays = {"first": np.ones(2), "second": np.zeros(1)}
    cached("draws", 2, {}, lambda: take_apart(arrays), root=tmp_path)
    loaded = cached("draws", 2, {}, never, root=tmp_path).rebuild(dict)
    lists = {name: array.tolist() for name, array in loaded.items()}
    assert lists == {"first": [1, 1], "second": [0]}
