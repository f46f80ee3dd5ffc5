"""Networks of torchvision: weights of a file, random weights, and what is refused."""

import pytest
import torch
from helpers.data import TEST_DATA, needs_test_data
from safetensors.torch import save_file

from localspec.data import import_torchvision, load_dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import TorchvisionSettings, open_torchvision, weights_sum

SQUEEZENET = {"dataset": "imagenet-sample", "architecture": "squeezenet1_1"}
RANDOM = TorchvisionSettings(**SQUEEZENET)


def squeezenet(seed=5):
    torch.manual_seed(seed)
    return import_torchvision().models.squeezenet1_1(weights=None).eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for data sets with an empty folder of weights."""
    monkeypatch.setenv("LOCALSPEC_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize("name", ["own.safetensors", "own.pth"])
def test_weights_of_a_file(folder, name):
    own = squeezenet()
    save = save_file if name.endswith("safetensors") else torch.save
    save(own.state_dict(), folder / name)
    opened = open_torchvision(TorchvisionSettings(**SQUEEZENET, weights=name)).module
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = own((x - mean[:, None, None]) / std[:, None, None])
        assert torch.allclose(opened(x), expected, atol=1e-5)


def test_random_weights_follow_the_seed_and_leave_the_generator_alone():
    state, name = torch.get_rng_state(), "net.features.0.weight"
    first, same, other = (
        open_torchvision(RANDOM, seed=s).module.state_dict()[name] for s in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(first, squeezenet(seed=0).features[0].weight)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_weights_do_not_follow_the_defaults_of_torch(dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeded"))
    usual = open_torchvision(RANDOM, dtype=dtype).module.state_dict()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            other = open_torchvision(RANDOM, dtype=dtype).module.state_dict()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(other[name], value) for name, value in usual.items())


def test_the_sum_follows_the_file(folder):
    settings = TorchvisionSettings(**SQUEEZENET, weights="own.safetensors")
    assert weights_sum(RANDOM) == ""
    sums = set()
    for seed in (0, 1):
        save_file(squeezenet(seed).state_dict(), folder / "own.safetensors")
        sums.add(weights_sum(settings))
    assert len(sums) == 2


def test_a_missing_file_is_said(folder):
    with pytest.raises(InvalidInputError, match=r"there are no weights .*own.pth: put torchvision"):
        open_torchvision(TorchvisionSettings(**SQUEEZENET, weights="own.pth"))


DAMAGE = {
    "no safetensors": ("own.safetensors", b"no weights"),
    "no pickle": ("own.pth", b"no weights"),
    "no text": ("own.pth", b"\x80\x02X\x01\x00\x00\x00\x85."),
    "cut off in a length": ("own.pth", b"\x80\x02X\x01\x00"),
    "a memory that is not there": ("own.pth", b"\x80\x02hG."),
    "nothing": ("own.pth", b"\x80\x02."),
}


@pytest.mark.parametrize(("name", "content"), DAMAGE.values(), ids=DAMAGE)
def test_files_that_cannot_be_used(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match="cannot read the weights"):
        open_torchvision(TorchvisionSettings(**SQUEEZENET, weights=name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("features.0.bias"),
            "not those of squeezenet1_1: .*features.0.bias",
        ),
        (lambda state: state["features.0.bias"].fill_(torch.nan), "hold NaN or infinite"),
        (lambda state: state.update(more=torch.zeros(1)), "not those of squeezenet1_1: .*more"),
    ],
)
def test_weights_of_another_network(folder, change, message):
    state = squeezenet().state_dict()
    change(state)
    torch.save(state, folder / "own.pth")
    with pytest.raises(InvalidInputError, match=message):
        open_torchvision(TorchvisionSettings(**SQUEEZENET, weights="own.pth"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "../own.pth"}, "weights"),
        ({"weights": "own.bin"}, "weights"),
        ({"hidden": (8,)}, "hidden is no option of squeezenet1_1"),
        ({"n_epochs": 3}, "n_epochs is no option of squeezenet1_1"),
        ({"architecture": "alexnet"}, "squeezenet1_1"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        TorchvisionSettings(**(SQUEEZENET | settings))


@needs_test_data
@pytest.mark.parametrize(
    ("architecture", "weights", "accuracy"),  # of all 1,000 images: 60.6 % and 75.8 %
    [
        ("squeezenet1_1", "squeezenet1_1.safetensors", 0.606),
        ("resnet18", "resnet18_pqf.safetensors", 0.758),
    ],
)
def test_accuracy_on_the_sample(tmp_path, monkeypatch, architecture, weights, accuracy):
    for name in ("imagenet-sample.tar", "weights"):
        (tmp_path / name).symlink_to(f"{TEST_DATA}/{name}")
    monkeypatch.setenv("LOCALSPEC_DATA", str(tmp_path))
    data = load_dataset("imagenet-sample")
    settings = TorchvisionSettings(
        dataset="imagenet-sample", architecture=architecture, weights=weights
    )
    network = open_torchvision(settings).module
    chosen = slice(0, None, 5)
    with torch.inference_mode():
        parts = data.x_test[chosen].split(50)
        predicted = torch.cat([network(part).argmax(1) for part in parts])
    right = (predicted == data.y_test[chosen]).double().mean()
    assert abs(float(right) - accuracy) < 0.1  # three standard errors of 200 images
