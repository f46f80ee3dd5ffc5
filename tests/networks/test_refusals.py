"""Data and settings that training refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp
from torch import nn

from localspec.data import Dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import (
    NetworkSettings,
    TorchvisionSettings,
    TrainedNetwork,
    build_network,
    prune,
    train,
    train_further,
    weights_path,
    weights_sum,
)

SETTINGS = NetworkSettings(dataset="made", hidden=(6, 4), n_epochs=1)
RESNET18 = TorchvisionSettings(dataset="imagenet-sample", architecture="resnet18")
MADE = Dataset("made", IMAGES, LABELS, IMAGES, LABELS, ("a", "b", "c"))
TRAINED = TrainedNetwork(mlp(), {})
PRUNED = NetworkSettings(dataset="made", hidden=(6, 4), n_epochs=1, n_pruning_epochs=1)
NUMBERS = {"x_train": IMAGES.flatten(1)[:, :4], "x_test": IMAGES.flatten(1)[:, :4]}
DOUBLE = {"x_train": IMAGES.double(), "x_test": IMAGES.double()}


def trained(settings=SETTINGS, seed=0, device="cpu", dtype="float32", **changes):
    return train(settings, replace(MADE, **changes), seed=seed, device=device, dtype=dtype)


def run(**options):
    return train(SETTINGS, MADE, seed=0, **options)


def changed(**changes):
    return NetworkSettings(**{**SETTINGS.model_dump(), **changes})


def built(settings=SETTINGS, image_shape=(1, 4, 4), n_outputs=3, seed=0, **options):
    return build_network(settings, image_shape, n_outputs, seed=seed, **options)


def trained_further(trained, n_epochs=1, **options):
    return train_further(
        trained, SETTINGS, MADE, n_epochs=n_epochs, seed=0, device="cpu", **options
    )


class Failing(nn.Module):
    def __init__(self, output=None):
        super().__init__()
        self.layer, self.output = nn.Linear(1, 1), output

    def forward(self, x):
        if self.output is None:
            raise ValueError("not today")
        return self.output


def pruned(trained=TRAINED, settings=PRUNED, dataset=MADE, seed=0, device="cpu", **options):
    return prune(trained, settings, dataset, seed=seed, device=device, **options)


CASES = {
    "training labels out of range": (
        lambda: trained(y_train=LABELS + 1),
        "label 3",
        "'made'",
        "from 0 to 2",
    ),
    "labels of fewer images": (lambda: trained(y_test=LABELS[:3]), "labels must be"),
    "training with one class": (
        lambda: trained(class_names=("a",), y_train=LABELS * 0, y_test=LABELS * 0),
        "'made' has 1 class(es)",
        "at least two",
    ),
    "regression on labels": (
        lambda: trained(class_names=()),
        "targets",
        "shape (30, n_targets)",
        "not (30,)",
    ),
    "a CNN of numbers": (
        lambda: trained(changed(architecture="cnn", channels=(2,)), **NUMBERS),
        "shape (4,)",
        "no images",
        "use architecture 'mlp'",
    ),
    "numbers to rotate": (
        lambda: trained(changed(max_rotation=15.0), **NUMBERS),
        "shape (4,)",
        "no images",
        "leave max_rotation",
    ),
    "bfloat16 on float64": (
        lambda: trained(changed(precision="bfloat16"), dtype="float64", **DOUBLE),
        "'bfloat16'",
        "no effect on float64",
        "precision 'full'",
    ),
    "more outputs than modules": (
        lambda: trained(changed(module_distance=0.6), class_names=tuple("abcdefghijkl")),
        "10 modules",
        "12 outputs",
        "leave module_distance out",
    ),
    "training on NaN": (
        lambda: trained(x_train=IMAGES / 0 * 0),
        "NaN or infinite",
        "clean the data",
    ),
    "training on no device": (lambda: trained(device="cuda"), "'cuda' is not there", "'cpu'"),
    "negative seed": (lambda: trained(seed=-1), "seed", "at least 0", "not -1"),
    "settings in a dict": (
        lambda: train({"hidden": (6, 4)}, MADE, seed=0),
        "settings must be a NetworkSettings, not dict",
    ),
    "a pair for a data set": (
        lambda: train(SETTINGS, (IMAGES, LABELS), seed=0),
        "dataset must be a Dataset, not tuple",
        "load_dataset(...)",
    ),
    "training images of bytes": (lambda: trained(x_train=IMAGES.byte()), "x.float() / 255"),
    "one-hot training labels": (
        lambda: trained(y_train=torch.eye(3)[LABELS]),
        "(30, 3)",
        "y.argmax(1)",
    ),
    "test images of another size": (
        lambda: trained(x_test=torch.rand(30, 1, 5, 5)),
        "one shape and type",
        "(1, 5, 5)",
    ),
    "a seed too large": (lambda: trained(seed=2**64), "seed", "4294967295"),
    "training by conventions": (lambda: run(conventions=0), "'paper' or 'released'", "not 0"),
    "training with progress": (lambda: run(progress="yes"), "progress must be True or False"),
    "dtype of torch": (
        lambda: trained(dtype=torch.float32),
        "dtype=torch.float32",
        "'float32', 'float64'",
    ),
    "dtype of other images": (
        lambda: trained(dtype="float64"),
        "dtype='float64'",
        "images are torch.float32",
    ),
    "an unknown device": (lambda: trained(device="gpu"), "device='gpu'", "'auto', 'cpu', 'cuda'"),
    "a batch of one": (
        lambda: trained(changed(batch_norm="before", batch_size=29)),
        "batch_size = 29",
        "take another batch_size",
    ),
    "a path for a checkpoint": (
        lambda: run(checkpoint="here"),
        "checkpoint must be a Checkpoint, not str",
    ),
    "no function after epochs": (
        lambda: run(device="cpu", after_epoch=5),
        "after_epoch must be a function that takes the number of epochs done and the module",
        "not 5",
    ),
    "no function after epochs of pruning": (
        lambda: pruned(after_epoch="print"),
        "after_epoch must be a function",
        "'print'",
    ),
    "no function for an extra loss": (
        lambda: trained_further(TRAINED, extra_loss=0.5),
        "extra_loss must be a function that takes the kernels",
        "not 0.5",
    ),
    "a batch of one that ends in a pixel": (
        lambda: trained(
            NetworkSettings(
                dataset="made", architecture="resnet", channels=(2, 3, 4), batch_size=29
            )
        ),
        "batch_size = 29",
        "take another batch_size",
    ),
    "training a network of torchvision": (
        lambda: trained(RESNET18),
        "resnet18",
        "open_torchvision(settings)",
        "not trained",
    ),
    "building a network of torchvision": (lambda: built(RESNET18), "open_torchvision(settings)"),
    "the file of other weights": (lambda: weights_path(SETTINGS), "TorchvisionSettings"),
    "the sum of other weights": (lambda: weights_sum("resnet18"), "TorchvisionSettings, not str"),
    "classes in an array": (
        lambda: trained(class_names=np.array(["a", "b", "c"])),
        "class_names must be a tuple of names",
    ),
    "pruning what fails": (
        lambda: pruned(TrainedNetwork(Failing(), {})),
        "cannot read images of shape (1, 4, 4)",
        "not today",
    ),
    "pruning what returns no tensor": (
        lambda: pruned(TrainedNetwork(Failing(output=()), {})),
        "the network returns tuple for 2 image(s)",
    ),
    "pruning what has no kernels": (
        lambda: pruned(TrainedNetwork(nn.Sequential(nn.Flatten()), {})),
        "no dense layer",
        "to prune",
    ),
    "building by a dict": (lambda: built({"hidden": (6,)}), "NetworkSettings, not dict"),
    "building of no shape": (
        lambda: built(image_shape=28),
        "(n_channels, height, width)",
        "not 28",
    ),
    "building of no pixels": (
        lambda: built(image_shape=(1, 0, 4)),
        "(n_channels, height, width)",
        "(1, 0, 4)",
    ),
    "building a CNN of numbers": (
        lambda: built(changed(architecture="cnn", channels=(2,)), image_shape=(16,)),
        "(16,)",
        "no images",
    ),
    "building of no outputs": (lambda: built(n_outputs=0), "n_outputs", "at least 1", "not 0"),
    "building of more outputs than memory": (
        lambda: built(n_outputs=10**12),
        "4 units and 1,000,000,000,000 outputs",
        "500,000,000",
    ),
    "building by a seed of text": (lambda: built(seed="0"), "seed", "not '0'"),
    "building of half precision": (lambda: built(dtype="float16"), "dtype='float16'", "'float32'"),
    "pruning what is not trained": (
        lambda: pruned(mlp()),
        "trained must be a TrainedNetwork, not Sequential",
        "train(settings, dataset, seed=0)",
    ),
    "pruning by no settings": (lambda: pruned(settings=None), "NetworkSettings, not NoneType"),
    "pruning for no epoch": (
        lambda: pruned(settings=SETTINGS),
        "n_pruning_epochs",
        "at least 1",
        "not 0",
    ),
    "pruning on no data set": (lambda: pruned(dataset=IMAGES), "Dataset, not Tensor"),
    "pruning on other images": (
        lambda: pruned(TrainedNetwork(mlp(n_inputs=64), {})),
        "cannot read images of shape (1, 4, 4)",
        "trained on",
    ),
    "pruning for other classes": (
        lambda: pruned(dataset=replace(MADE, class_names=("a", "b", "c", "d"))),
        "shape (2, 3)",
        "'made' needs 4",
    ),
    "training further on other images": (
        lambda: trained_further(TrainedNetwork(mlp(n_inputs=64), {})),
        "cannot read images of shape (1, 4, 4)",
        "trained on",
    ),
    "training further what is not trained": (
        lambda: trained_further(mlp()),
        "trained must be a TrainedNetwork, not Sequential",
        "train(settings, dataset, seed=0)",
    ),
    "training further for no epoch": (lambda: trained_further(TRAINED, n_epochs=0), "n_epochs"),
    "pruning on NaN": (
        lambda: pruned(dataset=replace(MADE, x_train=IMAGES / 0 * 0)),
        "NaN or infinite",
    ),
    "pruning with a batch of one": (
        lambda: pruned(
            settings=PRUNED.model_copy(update={"batch_norm": "after", "batch_size": 29})
        ),
        "batch_size = 29",
        "a batch of one of the 30",
    ),
    "pruning doubles in bfloat16": (
        lambda: pruned(
            settings=PRUNED.model_copy(update={"precision": "bfloat16"}),
            dataset=replace(MADE, **DOUBLE),
        ),
        "'bfloat16' has no effect on float64",
    ),
    "pruning by a seed": (lambda: pruned(seed=None), "seed", "not None"),
    "pruning on a device": (lambda: pruned(device="cuda"), "'cuda' is not there", "'cpu'"),
    "pruning by conventions": (lambda: pruned(conventions="papr"), "'papr'", "'paper'"),
    "pruning with progress": (lambda: pruned(progress=1), "progress must be True or False"),
}


@pytest.mark.usefixtures("no_long_work", "no_cuda")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)


def test_training_that_diverges():
    # no settings that are allowed diverge in so few steps
    diverging = SETTINGS.model_copy(update={"n_epochs": 2, "learning_rate": 1e200})
    with pytest.raises(InvalidInputError, match=r"diverged in epoch \d .*learning_rate of 1e\+200"):
        trained(diverging, dtype="float64", **DOUBLE)


def test_training_that_diverges_in_its_last_step():
    def extra_loss(kernels, step):
        return (0 * kernels[0].sum()).sqrt()  # whose value is 0 and whose derivative is NaN

    with pytest.raises(InvalidInputError, match=r"diverged in epoch 1 \(test loss nan\)"):
        trained_further(TRAINED, extra_loss=extra_loss)


def test_an_extra_loss_of_several_numbers():
    with pytest.raises(InvalidInputError, match=r"extra_loss must return one number.*\(6,\)"):
        trained_further(TRAINED, extra_loss=lambda kernels, step: kernels[0].abs().sum(1))
