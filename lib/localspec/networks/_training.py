"""Training: fit a network with Keras's defaults."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from localspec._utils.checkpoints import Checkpoint
from localspec._utils.hardware import (
    SMALL_STEP,
    check_autocast,
    is_small,
    limited_threads,
    resolve_device,
)
from localspec._utils.validation import (
    check_flag,
    check_integer,
    check_option,
    check_seed,
    check_type,
    require,
    shown,
)
from localspec.conventions import Conventions, resolve
from localspec.data import DTYPES, Dataset, check_dataset
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.networks._architectures import build_network
from localspec.networks._settings import NetworkSettings
from localspec.networks._training_run import ExtraLoss, TrainingRun, by_prefix

HISTORY = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
AfterEpoch = Callable[[int, nn.Module], None]
AFTER_EPOCH = "the number of epochs done and the module"  # what it takes


@dataclass(frozen=True)
class TrainedNetwork:
    """A network in inference mode, and how it learned.

    Attributes
    ----------
    module : torch.nn.Module
        In evaluation mode, without gradients.
    history : dict of str to numpy.ndarray, shape (n_epochs,)
        ``train_loss`` and ``train_accuracy``: running averages over the epoch's batches, as
        Keras reports them, with dropout and augmentation on; ``test_loss`` and
        ``test_accuracy``: after the epoch. Accuracies are NaN for regression.
    """

    module: nn.Module
    history: dict[str, np.ndarray]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return weights and history as named arrays, for storage.

        On a CPU they lie in the network's own memory: copy what you change.
        """
        weights = {f"weights.{k}": v.cpu().numpy() for k, v in self.module.state_dict().items()}
        return weights | {f"history.{k}": v for k, v in self.history.items()}

    @classmethod
    def from_arrays(cls, module: nn.Module, arrays: Mapping[str, np.ndarray]) -> TrainedNetwork:
        """Load named arrays into a module of the same architecture.

        Raises
        ------
        ArtifactError
            If weights are missing, of another shape or a coarser type than the module's, or not
            finite.
        """
        parts = {"weights": {}, "history": {}} | by_prefix(arrays)
        weights = {
            name: torch.from_numpy(np.array(array, order="C"))
            for name, array in parts["weights"].items()
        }
        misfit = _misfit(module.state_dict(), weights)
        if misfit or len(parts) > 2:
            raise ArtifactError(f"stored weights are not the network's: {misfit or list(parts)}")
        module.load_state_dict(weights)
        return cls(module.eval().requires_grad_(False), parts["history"])


def _misfit(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> str:
    """Say why tensors cannot take the place of a module's own; nothing if they can."""
    missing, extra = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or extra:
        return f"missing {missing}, not expected {extra}"
    for name, tensor in own.items():
        other = given[name]
        # a single number is stored as an array of one
        shape = tensor.shape if tensor.ndim or not other.ndim else (1,)
        # planted networks are stored in double precision, whatever they are used in
        finer = tensor.is_floating_point() and other.dtype == torch.float64
        if other.shape != shape or (other.dtype != tensor.dtype and not finer):
            return (
                f"{name} is {other.dtype} of shape {tuple(other.shape)}, not {tensor.dtype} of "
                f"{tuple(shape)}"
            )
        if not bool(other.isfinite().all()):
            return f"{name} holds NaN or infinite values"
    return ""


def _ends_in_a_pixel(settings: NetworkSettings, dataset: Dataset) -> bool:
    """Return whether the last block of a residual network gives one pixel a channel."""
    n_halvings = sum(before != after for before, after in pairwise(settings.channels))
    return max(dataset.image_shape[1:], default=0) <= 2**n_halvings


def _check(settings: NetworkSettings, dataset: Dataset) -> None:
    """Refuse options of training that these data do not allow."""
    if settings.precision == "bfloat16" and dataset.x_train.dtype == torch.float64:
        raise InvalidInputError(
            "precision 'bfloat16' has no effect on float64: use dtype 'float32' or precision 'full'"
        )
    if settings.augmentation and len(dataset.image_shape) != 3:
        raise InvalidInputError(
            f"inputs of shape {dataset.image_shape} are no images (n_channels, height, width) to "
            "rotate, shift or flip: leave max_rotation, max_shift and flip out"
        )
    n_images = len(dataset.x_train)
    normalized = settings.batch_norm != "none" or settings.architecture == "vgg"
    normalized |= settings.architecture == "resnet" and _ends_in_a_pixel(settings, dataset)
    if normalized and n_images % settings.batch_size == 1 % settings.batch_size:
        raise InvalidInputError(
            f"batch_size = {settings.batch_size} leaves a batch of one of the {n_images} training "
            "images, which batch normalization cannot normalize: take another batch_size"
        )


def check_reads(module: nn.Module, dataset: Dataset) -> None:
    """Refuse a network that does not read the images, or has not an output for each class."""
    sample = dataset.x_train[:2]
    try:
        with torch.no_grad():
            outputs = module(sample.clone())  # which the network may write over
    except Exception as error:  # of a module of the user's, whatever it raises
        raise InvalidInputError(
            f"the network cannot read images of shape {tuple(sample.shape[1:])} and "
            f"{sample.dtype} ({error}): take the data set it was trained on"
        ) from error
    shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else None
    if shape != (len(sample), dataset.n_outputs):
        values = type(outputs).__name__ if shape is None else f"values of shape {shape}"
        raise InvalidInputError(
            f"the network returns {values} for {len(sample)} "
            f"image(s), where data set {dataset.name!r} needs {dataset.n_outputs} each: take the "
            "data set it was trained on"
        )


def _restore(run: TrainingRun, stored: Mapping[str, torch.Tensor], path: Path) -> None:
    try:
        run.restore(stored)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())  # torch's has several lines
        raise ArtifactError(
            f"checkpoint {path} does not hold a state of this training ({reason}): delete it"
        ) from error


def _seed_dropout(seed: int, device: torch.device) -> None:
    """Seed the generators that dropout draws from; `torch.manual_seed` has those of all devices."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _check_loss(name: str, loss: float, epoch: int, settings: NetworkSettings) -> None:
    require(
        math.isfinite(loss),
        f"training diverged in epoch {epoch} ({name} {loss}): lower the learning_rate of "
        f"{settings.learning_rate}",
    )


def check_function(name: str, value: object, takes: str) -> None:
    """Refuse what cannot be called, before any training; None is allowed."""
    require(
        value is None or callable(value),
        f"{name} must be a function that takes {takes}, or None, not {shown(value)}",
    )


def fit(
    module: nn.Module,
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    n_epochs: int,
    seed: int,
    conventions: Conventions | str = "paper",
    pruner: nn.Module | None = None,
    extra_loss: ExtraLoss | None = None,
    after_epoch: AfterEpoch | None = None,
    description: str = "training",
    progress: bool = False,
    checkpoint: Checkpoint | None = None,
) -> TrainedNetwork:
    """Train a module in place, with a fresh optimiser.

    The seed is that of the order of the batches, of augmentation and of dropout. The pruner is
    called with the number of steps done, before each step and before each test; for `extra_loss`
    see :func:`train_further`, for `after_epoch` :func:`train`.

    A checkpoint is where the state after an epoch is stored, and what is gone on from if it is
    there. The weights are then the same, bit for bit, as without the interruption (on the same
    machine with as many threads).
    """
    check_autocast(dataset.x_train.device)
    small = is_small(module.eval(), dataset.x_train[:1], settings.batch_size, SMALL_STEP)
    if settings.memory_format == "channels_last":
        module = module.to(memory_format=torch.channels_last)
    run = TrainingRun(
        module,
        settings,
        dataset,
        seed=seed,
        conventions=conventions,
        pruner=pruner,
        extra_loss=extra_loss,
    )
    on_gpu = [run.device] if run.device.type == "cuda" else []
    n_batches = math.ceil(len(dataset.y_train) / settings.batch_size)
    with torch.random.fork_rng(on_gpu), limited_threads(1 if small else settings.n_threads):
        _seed_dropout(seed, run.device)
        stored = checkpoint.load() if checkpoint else None
        if stored is not None:
            _restore(run, stored, checkpoint.path)
        bar = tqdm(
            desc=description,
            total=n_epochs * n_batches,
            initial=len(run.rows) * n_batches,  # of epochs before an interruption
            unit="batch",
            disable=not progress,
        )
        with bar:
            while len(run.rows) < n_epochs:
                learned = run.train_epoch(bar)
                _check_loss("loss", learned[0], len(run.rows) + 1, settings)
                tested = run.evaluate()
                # the last step of an epoch, too, can make weights of NaN
                _check_loss("test loss", tested[0], len(run.rows) + 1, settings)
                run.rows.append((*learned, *tested))
                bar.set_postfix(
                    epoch=len(run.rows),
                    loss=f"{learned[0]:.4g}",
                    test_accuracy=f"{tested[1]:.4f}",
                )
                if after_epoch is not None:
                    after_epoch(len(run.rows), module)
                if checkpoint is not None:
                    checkpoint.save_if_due(run.state())
    history = dict(zip(HISTORY, np.array(run.rows, dtype=np.float64).T, strict=True))
    module = module.to(memory_format=torch.contiguous_format)  # as a stored network is loaded
    return TrainedNetwork(module.eval().requires_grad_(False), history)


def check_arguments(
    settings: NetworkSettings,
    dataset: Dataset,
    seed: int,
    conventions: Conventions | str,
    progress: bool,
    checkpoint: Checkpoint | None,
) -> int:
    """Refuse what nothing can be trained with; return the seed as Python's own."""
    check_type("settings", settings, NetworkSettings, "NetworkSettings(dataset=..., hidden=...)")
    check_type("dataset", dataset, Dataset, "load_dataset(...) or Dataset(...) makes one")
    check_flag("progress", progress)
    if checkpoint is not None:
        check_type("checkpoint", checkpoint, Checkpoint, "leave it out")
    resolve(conventions)
    check_dataset(dataset, task=dataset.task)
    _check(settings, dataset)
    return check_seed(seed)


@torch.inference_mode(False)
@torch.enable_grad()
def train(
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    seed: int,
    dtype: str = "float32",
    device: str = "auto",
    conventions: Conventions | str = "paper",
    after_epoch: AfterEpoch | None = None,
    progress: bool = False,
    checkpoint: Checkpoint | None = None,
) -> TrainedNetwork:
    """Train a network: a classifier by cross-entropy, a regression by the mean squared error.

    Parameters
    ----------
    settings : NetworkSettings
    dataset : Dataset
    seed : int
        Seeds the initial weights, the order of the batches, augmentation and dropout. Training
        leaves torch's global generator as it found it.
    dtype : {"float32", "float64"}
        Must be the data set's.
    device : {"auto", "cpu", "cuda"}, optional
    conventions : Conventions or str
    after_epoch : callable, optional
        Called after each epoch with the number of epochs done and the module in evaluation mode,
        which it must leave as it is. Where training goes on from a checkpoint, it is not called for
        the epochs before.
    progress : bool
        Show a bar with loss, test accuracy and the time left.
    checkpoint : Checkpoint, optional
        See ``fit``.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    InvalidInputError
        If the data cannot be trained on, the settings do not fit them, the device is not there,
        or training diverges.
    ArtifactError
        If a checkpoint cannot be written, or the one that is there holds no state of this training.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Networks and training".
    """
    seed = check_arguments(settings, dataset, seed, conventions, progress, checkpoint)
    check_function("after_epoch", after_epoch, AFTER_EPOCH)
    if dataset.x_train.dtype != DTYPES[check_option("dtype", dtype, DTYPES)]:
        raise InvalidInputError(
            f"dtype={dtype!r} but the images are {dataset.x_train.dtype}: load the data set with "
            "the same dtype"
        )
    on = resolve_device(device)
    module = build_network(settings, dataset.image_shape, dataset.n_outputs, seed=seed, dtype=dtype)
    return fit(
        module.to(on),
        settings,
        dataset.to(on),
        n_epochs=settings.n_epochs,
        seed=seed,
        conventions=conventions,
        after_epoch=after_epoch,
        progress=progress,
        checkpoint=checkpoint,
    )


@torch.inference_mode(False)
@torch.enable_grad()
def train_further(
    trained: TrainedNetwork,
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    n_epochs: int,
    seed: int,
    extra_loss: ExtraLoss | None = None,
    device: str = "auto",
    conventions: Conventions | str = "paper",
    progress: bool = False,
    checkpoint: Checkpoint | None = None,
) -> TrainedNetwork:
    """Train a trained network for some more epochs, with a fresh optimiser.

    Parameters
    ----------
    trained : TrainedNetwork
        Left as it is; a copy is trained.
    settings : NetworkSettings
        Those of its training, but for ``n_epochs``.
    dataset : Dataset
    n_epochs : int
    seed : int
        See :func:`train`.
    extra_loss : callable, optional
        Takes the kernels of all dense and convolutional layers, in order, each of shape
        (n_out, n_in, ...), and the number of steps done in the epoch; returns what is added to
        the loss of the next step. Training goes on from a checkpoint at the start of an epoch, so
        that what it remembers must not reach from one epoch into the next.
    device : {"auto", "cpu", "cuda"}, optional
    conventions : Conventions or str
    progress : bool, optional
    checkpoint : Checkpoint, optional
        See ``fit``.

    Returns
    -------
    TrainedNetwork
        Its history is that of the further epochs; ``train_loss`` holds the extra loss, too.

    Raises
    ------
    InvalidInputError
        If the network, the settings and the data set do not go together, the device is not there,
        or training diverges.
    ArtifactError
        If a checkpoint cannot be written, or the one that is there holds no state of this training.
    """
    check_type("trained", trained, TrainedNetwork, "train(settings, dataset, seed=0) returns one")
    seed = check_arguments(settings, dataset, seed, conventions, progress, checkpoint)
    n_epochs = check_integer("n_epochs", n_epochs, 1)
    check_function("extra_loss", extra_loss, "the kernels and the number of steps done")
    on = resolve_device(device)
    module, dataset = copy.deepcopy(trained.module).to(on), dataset.to(on)
    check_reads(module, dataset)
    return fit(
        module.requires_grad_(True),
        settings,
        dataset,
        n_epochs=n_epochs,
        seed=seed,
        conventions=conventions,
        extra_loss=extra_loss,
        description="training further",
        progress=progress,
        checkpoint=checkpoint,
    )
