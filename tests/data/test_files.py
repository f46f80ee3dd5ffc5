"""The folder for data sets; torchvision's import; two processes at once."""

from pathlib import Path

import pytest
import torch
from helpers.data import PACKED, RAW, contents, image_folders, write
from helpers.processes import python, started
from helpers.refusals import check_refused

from localspec._utils.artifacts import fingerprint
from localspec.data import _torchvision as torchvision_import
from localspec.data import load_dataset
from localspec.data._files import check_md5, data_root
from localspec.data._torchvision import import_torchvision
from localspec.exceptions import InvalidInputError

FOLDER = str(Path(__file__).parents[1])


def test_where_data_sets_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_DATA", str(tmp_path / "named"))
    assert data_root() == tmp_path / "named"
    assert data_root(tmp_path) == data_root(str(tmp_path)) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root("~/data") == tmp_path / "data"
    monkeypatch.delenv("LOCALSPEC_DATA")
    (tmp_path / "notebooks" / "profiles").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks")
    assert data_root() == tmp_path / "data"


def test_no_folder_for_data_sets(tmp_path, monkeypatch):
    monkeypatch.delenv("LOCALSPEC_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    check_refused(
        lambda: load_dataset("mnist"), ["pass root=..., set LOCALSPEC_DATA, or run inside"]
    )
    assert load_dataset("digits").n_classes == 10  # needs no folder
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=r"file, is a file: pass another root=..."):
        load_dataset("mnist", root=tmp_path / "file")


def test_md5(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    abc = "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321
    check_md5(tmp_path / "abc", abc, what="the alphabet", cure="learn it")
    (tmp_path / "abc").write_bytes(b"ab")
    with pytest.raises(InvalidInputError, match=rf"is not the alphabet.*not {abc}.*; learn it$"):
        check_md5(tmp_path / "abc", abc, what="the alphabet", cure="learn it")
    with pytest.raises(InvalidInputError, match=r"cannot read .*, the alphabet: .*; learn it$"):
        check_md5(tmp_path / "b", abc, what="the alphabet", cure="learn it")


def test_fingerprints_tell_data_apart():
    zeros = torch.zeros(2, 3, dtype=torch.uint8)
    different = [zeros, zeros.T, zeros.flatten(), zeros.long(), zeros + 1]
    assert len({fingerprint(tensor) for tensor in different}) == 5
    assert fingerprint(zeros, zeros) != fingerprint(zeros)
    assert fingerprint(zeros, names=["a"]) != fingerprint(zeros, names=["b"])
    made = torch.arange(6).reshape(2, 3).T  # not contiguous
    assert fingerprint(made) == fingerprint(made.clone(memory_format=torch.contiguous_format))


def test_what_the_library_imports_only_when_it_is_needed():
    code = """
import sys
import localspec.data
assert not [name for name in sys.modules if name.startswith("torchvision")]
assert not {"click", "papermill", "snakemake"} & sys.modules.keys()  # of the command line
from localspec.data._torchvision import import_torchvision
vision = import_torchvision()
assert vision is import_torchvision()
import torchvision.transforms.functional
assert torchvision is vision
vision.models.resnet18(weights=None)
print(vision.datasets.MNIST.__name__)
"""
    done = python("-c", code)
    assert done.stdout == "MNIST\n", done.stderr


def test_other_errors_of_the_import_are_passed_on(monkeypatch):
    def broken(name):
        raise RuntimeError("something else")

    monkeypatch.setattr(torchvision_import.importlib, "import_module", broken)
    with pytest.raises(RuntimeError, match="something else"):
        import_torchvision()


LOAD = f"""
import sys, time
sys.path.insert(0, {FOLDER!r})
from pathlib import Path
from helpers.data import TINY_MD5, TinyMNIST
from localspec.data import _image_folders as image_folders, _mnist as idx_data

root = Path(sys.argv[1])

def slow(function):
    def counted(*arguments, **options):
        with open(root / "calls", "a") as file:
            file.write(function.__name__ + "\\n")
        time.sleep(0.5)
        return function(*arguments, **options)
    return counted

idx_data._decompress = slow(idx_data._decompress)
image_folders._decode = slow(image_folders._decode)
images = idx_data.load_idx(TinyMNIST, TINY_MD5, root, download=False)
pets = image_folders.load_image_folders(
    root / "pets", ("ant", "cat"), {{"train": 1, "test": 1}}, (3, 4, 4), cure="unpack again"
)
print(images.y_train.tolist(), pets.x_test[:, 0, 0, 0].tolist())
"""


def test_two_processes_decode_once(tmp_path):
    write(tmp_path / "TinyMNIST" / "raw", PACKED)
    image_folders(tmp_path / "pets", ("ant", "cat"), 1)
    running = [started("-c", LOAD, tmp_path) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in running]
    assert [answer[0].strip() for answer in answers] == ["[4, 2, 9] [0, 10]"] * 2, answers
    calls = (tmp_path / "calls").read_text().split()
    assert calls == ["_decompress"] * 4 + ["_decode"] * 2
    assert contents(tmp_path / "TinyMNIST" / "raw") == {*RAW, *PACKED}
