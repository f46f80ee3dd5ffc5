"""Training with Keras's defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from localspec.conventions import Conventions, resolve
from localspec.data import DTYPES, Dataset, check_dataset
from localspec.errors import InvalidInputError, choose, whole
from localspec.networks import build_network, resolve_device
from localspec.profiles import NetworkSettings
from localspec.threads import SMALL_STEP, is_small, single_threaded

STAGE_VERSION = 1
BETAS = (0.9, 0.999)
EPSILON_HAT = 1e-7
HISTORY = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class TrainedNetwork:
    """A network in inference mode, and how it learned.

    Attributes
    ----------
    module : torch.nn.Module
        In evaluation mode, without gradients.
    history : dict of str to numpy.ndarray, shape (n_epochs,)
        ``train_loss`` and ``train_accuracy``: running averages over the epoch's batches, as
        Keras reports them; ``test_loss`` and ``test_accuracy``: after the epoch.
    """

    module: nn.Module
    history: dict[str, np.ndarray]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return weights and history as named arrays, for storage."""
        weights = {f"weights.{k}": v.cpu().numpy() for k, v in self.module.state_dict().items()}
        return weights | {f"history.{k}": v for k, v in self.history.items()}

    @classmethod
    def from_arrays(cls, module: nn.Module, arrays: Mapping[str, np.ndarray]) -> TrainedNetwork:
        """Load named arrays into a module of the same architecture."""
        parts: dict[str, dict[str, np.ndarray]] = {"weights": {}, "history": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = array
        module.load_state_dict({k: torch.from_numpy(v) for k, v in parts["weights"].items()})
        return cls(module.eval().requires_grad_(False), parts["history"])


class KerasAdam(torch.optim.Adam):
    """Adam with Keras's "epsilon-hat": added to sqrt(v) before the bias correction.

    PyTorch divides by ``sqrt(v / (1 - b2^t)) + eps``. Keras divides by ``sqrt(v) + eps`` and
    multiplies the rate by ``sqrt(1 - b2^t)``, which is PyTorch's rule with
    ``eps / sqrt(1 - b2^t)``.
    """

    def __init__(self, parameters, lr: float = 1e-3) -> None:
        super().__init__(parameters, lr=lr, betas=BETAS, eps=EPSILON_HAT)
        self.n_steps = 0

    def step(self, closure=None):
        """Update the parameters once."""
        self.n_steps += 1
        for group in self.param_groups:
            group["eps"] = EPSILON_HAT / math.sqrt(1 - BETAS[1] ** self.n_steps)
        return super().step(closure)


def kernels(module: nn.Module) -> list[nn.Parameter]:
    """Return the kernels (not the biases) of dense and convolutional layers, in order."""
    return [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def penalty(
    module: nn.Module, *, l1: float, l2: float, conventions: Conventions | str = "paper"
) -> torch.Tensor | float:
    """Return the regularization term: rate times the sum of ``|w|`` or ``w**2`` over kernels.

    Parameters
    ----------
    module : torch.nn.Module
    l1, l2 : float
        Rates.
    conventions : Conventions or str
        ``l2_first_layer="l1"`` puts the L1 norm, at the same rate, on the first kernel of a run
        with L2.
    """
    total: torch.Tensor | float = 0.0
    first_is_l1 = resolve(conventions).l2_first_layer == "l1"
    for index, weight in enumerate(kernels(module)):
        if l1:
            total = total + l1 * weight.abs().sum()
        if l2:
            absolute = first_is_l1 and index == 0
            total = total + l2 * (weight.abs() if absolute else weight.square()).sum()
    return total


def _batches(n: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    yield from torch.randperm(n, generator=generator).split(size)  # drawn on the CPU everywhere


@torch.no_grad()
def _evaluate(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    module.eval()
    logits = torch.cat([module(part) for part in x.split(1000)])
    correct = int((logits.argmax(1) == y).sum())
    return float(F.cross_entropy(logits, y)), correct / len(y)


def _train_epoch(module, dataset, settings, step: Callable, generator) -> tuple[float, float]:
    """Train one epoch; return the running averages of loss and accuracy."""
    module.train()
    loss_sum, n_correct = 0.0, 0
    for batch in _batches(len(dataset.y_train), settings.batch_size, generator):
        x, y = dataset.x_train[batch], dataset.y_train[batch]
        loss, logits = step(x, y)
        loss_sum += float(loss) * len(y)
        n_correct += int((logits.argmax(1) == y).sum())
    n = len(dataset.y_train)
    return loss_sum / n, n_correct / n


def fit(
    module: nn.Module,
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    n_epochs: int,
    seed: int,
    conventions: Conventions | str = "paper",
    before_use: Callable[[int], None] | None = None,
    description: str = "training",
    progress: bool = False,
) -> TrainedNetwork:
    """Train a module in place, with a fresh optimiser.

    Parameters
    ----------
    module : torch.nn.Module
    settings : NetworkSettings
    dataset : Dataset
    n_epochs : int
    seed : int
        Of the order of the batches and of dropout.
    conventions : Conventions or str
    before_use : callable, optional
        Called with the number of steps done, before each step and before each test.
    description : str, optional
        Of the progress bar.
    progress : bool, optional

    Returns
    -------
    TrainedNetwork
    """
    optimizer = KerasAdam(module.parameters(), lr=settings.learning_rate)
    generator = torch.Generator().manual_seed(seed)

    def step(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if before_use is not None:
            before_use(optimizer.n_steps)
        logits = module(x)
        loss = F.cross_entropy(logits, y)
        loss = loss + penalty(module, l1=settings.l1, l2=settings.l2, conventions=conventions)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach(), logits.detach()

    rows = []
    small = is_small(module.eval(), dataset.x_train[:1], settings.batch_size, SMALL_STEP)
    with torch.random.fork_rng(devices=[]), single_threaded(small):
        torch.manual_seed(seed)  # dropout has no generator of its own
        bar = tqdm(range(n_epochs), desc=description, unit="epoch", disable=not progress)
        for _ in bar:
            learned = _train_epoch(module, dataset, settings, step, generator)
            if not math.isfinite(learned[0]):
                raise InvalidInputError(
                    f"training diverged in epoch {len(rows) + 1} (loss {learned[0]}): lower the "
                    f"learning_rate of {settings.learning_rate}"
                )
            if before_use is not None:
                before_use(optimizer.n_steps)
            tested = _evaluate(module, dataset.x_test, dataset.y_test)
            rows.append((*learned, *tested))
            bar.set_postfix(test_accuracy=f"{tested[1]:.4f}")
    history = dict(zip(HISTORY, np.array(rows, dtype=np.float64).T, strict=True))
    return TrainedNetwork(module.eval().requires_grad_(False), history)


def train(
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    seed: int,
    dtype: str = "float32",
    device: str = "auto",
    conventions: Conventions | str = "paper",
    progress: bool = False,
) -> TrainedNetwork:
    """Train a network.

    Parameters
    ----------
    settings : NetworkSettings
    dataset : Dataset
    seed : int
        Seeds the initial weights, the order of the batches and dropout. Training leaves torch's
        global generator as it found it.
    dtype : {"float32", "float64"}
        Must be the data set's.
    device : {"auto", "cpu", "cuda"}, optional
    conventions : Conventions or str
    progress : bool
        Show a bar with the test accuracy.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    InvalidInputError
        If the data cannot be trained on, the device is not there, or training diverges.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Networks and training".
    """
    whole("seed", seed, 0)
    check_dataset(dataset)
    if dataset.x_train.dtype != DTYPES[choose("dtype", dtype, DTYPES)]:
        raise InvalidInputError(
            f"dtype={dtype!r} but the images are {dataset.x_train.dtype}: load the data set with "
            "the same dtype"
        )
    on = resolve_device(device)
    module = build_network(settings, dataset.image_shape, dataset.n_classes, seed=seed, dtype=dtype)
    return fit(
        *(module.to(on), settings, dataset.to(on)),
        n_epochs=settings.n_epochs,
        seed=seed,
        conventions=conventions,
        progress=progress,
    )
