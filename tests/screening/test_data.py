"""Data of a screening: the same report whatever images come in, and what is refused."""

import numpy as np
import pytest
import torch
from helpers.refusals import check_refused
from helpers.screening import CLASSES, IMAGES, SETTINGS, Branching, check_same
from PIL import Image
from torch import nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)
from torch.utils.data import Dataset as TorchDataset

from localspec.clustering import Partition
from localspec.data import Dataset
from localspec.screening import estimate, screen
from localspec.screening._data import allocated, read_images
from localspec.screening._standardized import read_preprocess

MEAN, STD = [0.4], [0.2]
PAIRS = TensorDataset(IMAGES, torch.arange(60) % 3)
ZEROS = torch.zeros(60).long()
ONE = {**SETTINGS, "partitionings": ["activations/local"], "measures": ["importance"]}


class Normalize:
    """What a transform ends in."""

    def __init__(self, mean=MEAN, std=STD):
        self.mean, self.std = mean, std

    def __call__(self, image):
        pixels = torch.from_numpy(np.asarray(image) / 255)[None].float()
        return (pixels - self.mean[0]) / self.std[0]


class Compose(Normalize):
    """A transform with its steps, as torchvision's."""

    def __init__(self):
        self.transforms = [len, Normalize()]

    def __call__(self, image):
        return self.transforms[-1](image)


class Weights:
    """Weights with a transform and names of classes, as torchvision's."""

    def __init__(self):
        self.meta = {"categories": ["a", "b", "c"]}

    def transforms(self):
        return Normalize()


class Pictures(TorchDataset):
    """Files: images of PIL."""

    def __init__(self, labels):
        self.labels, self.classes = labels, list(CLASSES)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        pixels = (255 * IMAGES[index, 0]).round().byte().numpy()
        return Image.fromarray(pixels), int(self.labels[index])


class Augmented(TensorDataset):
    """Another image each time."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return (x + torch.rand(1)).clamp(0, 1), y


class Sizes(TorchDataset):
    """Images of two sizes."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.full((1, 4 + index % 2, 4), 0.5), index % 3


class Failing(TensorDataset):
    """A file that is not there."""

    def __getitem__(self, index):
        if index == 17:
            raise KeyError("image 17")
        return super().__getitem__(index)


class Items(TorchDataset):
    """Images and labels by name, as Hugging Face's data sets give them."""

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return {"image": IMAGES[index], "label": index % 3}


def doubled(items):
    """Return each image twice."""
    return default_collate(items + items)


class Named(TensorDataset):
    """Labels by name."""

    def __getitem__(self, index):
        return super().__getitem__(index)[0], "abc"[index % 3]


class Gated(nn.Module):
    """A network that multiplies units by a sigmoid of others."""

    def __init__(self):
        super().__init__()
        self.flat, self.first, self.gate = nn.Flatten(), nn.Linear(16, 6), nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        units = self.first(self.flat(x)).relu()
        return self.last(units * self.gate(units).sigmoid())


class Stream(IterableDataset):
    """Images without an end."""

    def __len__(self):
        return 60

    def __iter__(self):
        yield IMAGES[0], 0


@pytest.mark.parametrize("kind", ["loader", "shuffled", "data set", "part", "library's"])
def test_every_kind_of_data_gives_the_same_report(kind, network, labels, report):
    pairs = TensorDataset(IMAGES, labels)
    data = {
        "loader": DataLoader(pairs, batch_size=7),
        "shuffled": DataLoader(pairs, batch_size=7, shuffle=True),
        "data set": pairs,
        "part": Subset(TensorDataset(IMAGES.repeat(2, 1, 1, 1), labels.repeat(2)), range(60)),
        "library's": Dataset("mine", IMAGES, labels, IMAGES, labels, tuple(CLASSES)),
    }[kind]
    found = screen(network, data, **ONE)
    check_same(found, report)


def test_images_that_do_not_fit_lie_in_a_file(network, labels, report, tmp_path):
    data = TensorDataset(IMAGES, labels)
    found = screen(network, data, max_memory=100, folder=tmp_path, **ONE)
    check_same(found, report)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]  # it has no name


def test_a_tensor_in_a_file_is_a_tensor(tmp_path):
    stored = allocated((3, 2), torch.float32, 0, tmp_path)
    stored[1] = 7
    assert stored.sum() == 14
    assert stored.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_standardized_images_are_taken_back(network, labels, report):
    given = (IMAGES - MEAN[0]) / STD[0]
    before = given.clone()
    read = read_images(
        (given, labels), "data", preprocess=read_preprocess((MEAN, STD)), max_bytes=2**20
    )
    assert torch.allclose(read.x, IMAGES, atol=1e-6)
    assert torch.equal(given, before)
    # the network standardizes what it reads: here that undoes nothing, so predictions differ
    found = screen(network, (given, labels), preprocess=(MEAN, STD), **ONE)
    assert {name.removeprefix("network.") for name in found.table["layer"]} == {"1", "3"}


def test_images_of_a_network_that_reads_0_to_255_are_taken_back(labels):
    as_bytes = read_preprocess(([0.0], [1 / 255]))
    for given in (IMAGES, 255 * IMAGES):
        read = read_images((given, labels), "data", preprocess=as_bytes, max_bytes=2**20)
        assert torch.allclose(read.x, IMAGES, atol=1e-6)
    words = ["other numbers", "divided by 255"]
    check_refused(
        lambda: read_images(
            (255 * IMAGES, labels), "data", preprocess=read_preprocess((MEAN, STD)), max_bytes=1
        ),
        words,
    )


@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_files_pass_the_transform_and_their_classes_have_names(network, labels, tmp_path):
    found = screen(network, Pictures(labels), preprocess=Compose(), **ONE)
    assert found.about["class_names"] == CLASSES
    assert found.about["settings"]["preprocess"] == {"mean": MEAN, "std": STD}
    assert "mean 0.4; std 0.2" in found.to_html(tmp_path / "report.html").read_text()
    found = screen(network, Pictures(labels), preprocess=Weights(), **ONE)
    assert found.about["class_names"] == ["a", "b", "c"]


def test_data_sets_in_a_row_keep_the_names_that_they_share(labels):
    class Others(Pictures):
        def __init__(self, labels):
            super().__init__(labels)
            self.classes = ["x", "y", "z"]

    def names(*parts):
        transform = read_preprocess(Compose())
        data = ConcatDataset(parts)
        return read_images(data, "data", preprocess=transform, max_bytes=2**20).class_names

    pictures = Pictures(labels)
    assert names(pictures, Subset(pictures, [0, 1])) == tuple(CLASSES)
    assert names(pictures, Others(labels)) == ()


@pytest.mark.parametrize(
    "given", [(MEAN, STD), {"mean": MEAN, "std": STD, "size": 4}, Normalize(), Compose(), Weights()]
)
def test_mean_and_std_are_read_from_many_forms(given):
    read = read_preprocess(given)
    assert (list(read.mean), list(read.std)) == (MEAN, STD)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (IMAGES, {}, ["(images, labels)", "not a Tensor alone", "(x, y)"]),
        ((IMAGES, IMAGES, IMAGES), {}, ["a pair", "not 3 parts"]),
        ("folder", {}, ["a data set or a DataLoader", "not str"]),
        (Stream(), {}, ["unknown length", "(x, y)"]),
        (DataLoader(Stream()), {}, ["unknown length"]),
        (TensorDataset(IMAGES), {}, ["pairs of an image and a label"]),
        (Augmented(IMAGES, ZEROS), {}, ["another image each time", "augment"]),
        (Pictures(ZEROS), {}, ["images of PIL", "ToTensor", "preprocess"]),
        (Sizes(), {}, ["image 0 has (1, 4, 4), image 1 has (1, 5, 4)", "one shape", "Resize"]),
        (Items(), {}, ["pairs of an image and a label, not dict", "collate_fn"]),
        ({"x": IMAGES, "y": None}, {}, ["a data set or a DataLoader, not dict"]),
        (DataLoader(PAIRS, collate_fn=doubled), {}, ["more images in a batch", "collate_fn"]),
        (
            Failing(IMAGES, ZEROS),
            {},
            ["data cannot give image 17 (KeyError: 'image 17')", "Subset"],
        ),
        (Named(IMAGES), {}, ["labels as the classes' numbers", "'a', 'b', 'c'"]),
        (DataLoader(PAIRS, collate_fn=len), {}, ["batches of images and labels, not int"]),
        (DataLoader(PAIRS, batch_size=None), {}, ["batch_size=None", "pass its data set"]),
        ((5 * IMAGES - 2, ZEROS), {"preprocess": ([0.5], [1.0])}, ["other numb"]),
        ((IMAGES, ZEROS), {"preprocess": 3}, ["preprocess must be", "not 3"]),
        ((IMAGES, ZEROS), {"preprocess": ([0.5], [0.0])}, ["std be positive"]),
    ],
)
def test_data_that_are_refused(data, options, words, network):
    for function in (screen, estimate):
        check_refused(
            lambda function=function: function(network, data, **SETTINGS, **options), words
        )


class Counted(TensorDataset):
    """Images that are counted as they are read."""

    def __init__(self, x, y):
        super().__init__(x, y)
        self.highest = 0

    def __getitem__(self, index):
        self.highest = max(self.highest, index)
        return super().__getitem__(index)


def check_first_batch(network, words, x, y, **options):
    """Check that images and labels are refused before more than one batch of them is read."""
    data = Counted(x, y)
    check_refused(lambda: screen(network, data, **{**SETTINGS, **options}), words)
    assert data.highest < 64


MANY = IMAGES.repeat(5, 1, 1, 1), torch.arange(300) % 3


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda x, y: ((255 * x).byte(), y), {}, ["uint8: x.float() / 255"]),
        (lambda x, y: (2 * x - 1, y), {}, ["must lie in [0, 1]", "preprocess=(mean, std)"]),
        (lambda x, y: (2 * x - 1, y), {"preprocess": ([0.5], [1.0])}, ["other numbers"]),
        (lambda x, y: (x[:, :, :3], y), {}, ["cannot read images of shape (1, 3, 4)"]),
        (lambda x, y: (x.permute(0, 2, 3, 1), y), {}, ["channels last"]),
        (lambda x, y: (x, y + 1), {}, ["label 3 does not fit a network of 3 logits"]),
        (lambda x, y: (x, y), {"class_names": ["a", "b"]}, ["each of the 3 logits, not 2"]),
    ],
)
def test_what_does_not_fit_is_refused_at_the_first_batch(change, options, words, network):
    check_first_batch(network, words, *change(*MANY), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 99}, ["n_clusters must be from 2 to", "not 99"]),
        ({"partitions": {"a": Partition.from_labels({"9": [0, 1]})}}, ["'9'"]),
        ({"x_train": 5}, ["x_train", "not int"]),
        ({"x_train": 2 * IMAGES}, ["x_train must lie in [0, 1]"]),
        ({"x_train": IMAGES[:, :, :3]}, ["x and x_train", "(60, 1, 3, 4)"]),
        ({"x_train": IMAGES[:2]}, ["at least 3 images, not 2"]),
        ({"x_train": IMAGES[:1].repeat(9, 1, 1, 1)}, ["no unit varies"]),
        ({"x_train": TensorDataset(IMAGES)}, ["x_train must give pairs"]),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_the_first_batch(options, words, network):
    check_first_batch(network, words, *MANY, **options)


def test_units_that_are_not_there_are_refused_at_the_first_batch(network):
    for module, options, words in (
        (Branching(network).eval(), {"layers": ["nothing"]}, ["'nothing'"]),
        (nn.Sequential(network, nn.Sigmoid()).eval(), {}, ["the network's outputs pass a"]),
        (Gated().eval(), {}, ["undefined behind a gate"]),
    ):
        check_first_batch(module, words, *MANY, **options)


def test_a_label_that_does_not_fit_is_refused_in_its_batch(network):
    x, y = MANY
    data = Counted(x, torch.where(torch.arange(300) == 70, 3, y))
    check_refused(lambda: screen(network, data, **SETTINGS), ["label 3 does not fit"])
    assert data.highest < 128


@pytest.mark.parametrize("n_workers", [0, 2])
def test_an_image_that_cannot_be_read_is_named(n_workers, network):
    data = DataLoader(
        Failing(IMAGES, torch.arange(60) % 3), batch_size=5, num_workers=n_workers, shuffle=True
    )
    check_refused(
        lambda: screen(network, data, **SETTINGS), ["data cannot give image 17 (KeyError", "Subset"]
    )


def test_a_collate_function_may_take_items_of_any_kind(network, labels, report):
    class Own(Items):
        def __getitem__(self, index):
            return {"image": IMAGES[index], "label": int(labels[index])}

    def pair(items):
        batch = default_collate(items)
        return batch["image"], batch["label"]

    data = DataLoader(Own(), batch_size=7, collate_fn=pair)
    check_same(screen(network, data, **ONE), report)
    assert estimate(network, data, **ONE).n_groups > 0


@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_random_states_are_as_before_and_samplers_draw_the_same(network, labels):
    pairs, generator = TensorDataset(IMAGES, labels), torch.Generator().manual_seed(3)
    drawn = WeightedRandomSampler([1.0] * 60, 40)
    own = WeightedRandomSampler([1.0] * 60, 40, generator=generator)
    for data in (
        DataLoader(pairs, batch_size=7, shuffle=True),
        DataLoader(pairs, batch_size=7, sampler=drawn),
        DataLoader(pairs, batch_size=7, sampler=own),
        DataLoader(pairs, batch_size=7, shuffle=True, generator=generator),
    ):
        before = torch.get_rng_state(), generator.get_state()
        first = screen(network, data, **ONE)
        estimate(network, data, **ONE)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.equal(generator.get_state(), before[1])
        torch.rand(5)
        assert first.baseline == screen(network, data, **ONE).baseline


def test_a_loader_whose_sampler_makes_batches(network, labels):
    # every other image, in two batches: not all of the data set
    sampler = BatchSampler(range(0, 60, 2), 15, drop_last=False)
    batches = DataLoader(TensorDataset(IMAGES, labels), batch_sampler=sampler)
    listed = DataLoader(TensorDataset(IMAGES, labels), batch_sampler=list(sampler))
    for data in (batches, listed):
        images = read_images(data, "data", max_bytes=2**20)
        torch.testing.assert_close(images.x, IMAGES[::2], rtol=0, atol=0)
        torch.testing.assert_close(images.y, labels[::2], rtol=0, atol=0)
