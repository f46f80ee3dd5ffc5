"""Training runs: take steps, and hold everything that the next one depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from localspec._utils.validation import require
from localspec.conventions import Conventions
from localspec.data import Dataset
from localspec.networks._augmentation import augment
from localspec.networks._optimiser import KerasAdam, kernels, penalty
from localspec.networks._settings import NetworkSettings

AUGMENTATION_STREAM = 2**32  # added to the seed, which is smaller
ExtraLoss = Callable[[Sequence[torch.Tensor], int], torch.Tensor]
Value = TypeVar("Value")


def by_prefix(values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Return values named ``prefix.rest`` by prefix, then by rest."""
    parts: dict[str, dict[str, Value]] = {}
    for name, value in values.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    return parts


class TrainingRun:
    """A module, its optimiser and its generators.

    The module is trained in place; the data set is on its device. The pruner is called with the
    number of steps done, before each step and before each test; its state is part of the run's.
    The extra loss, which has no state between epochs, takes all kernels and the number of steps
    done in the epoch.
    """

    def __init__(
        self,
        module: nn.Module,
        settings: NetworkSettings,
        dataset: Dataset,
        *,
        seed: int,
        conventions: Conventions | str,
        pruner: nn.Module | None,
        extra_loss: ExtraLoss | None,
    ) -> None:
        self.module, self.settings, self.dataset = module, settings, dataset
        self.conventions, self.pruner, self.extra_loss = conventions, pruner, extra_loss
        self.device = dataset.x_train.device
        self.optimizer = KerasAdam(module.parameters(), lr=settings.learning_rate)
        self.generators = {"order": torch.Generator().manual_seed(seed)}
        if settings.augmentation:
            on_device = torch.Generator(self.device).manual_seed(seed + AUGMENTATION_STREAM)
            self.generators["augmentation"] = on_device
        self.rows: list[tuple[float, ...]] = []  # of the history

    def _loss(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.dataset.task == "regression":
            return F.mse_loss(outputs, y)
        return F.cross_entropy(outputs, y.long())

    def _prune(self) -> None:
        if self.pruner is not None:
            self.pruner(self.optimizer.n_steps)

    def _step(
        self, x: torch.Tensor, y: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        settings = self.settings
        self._prune()
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=settings.precision == "bfloat16"
        ):
            outputs = self.module(x)
        outputs = outputs.to(x.dtype)
        loss = self._loss(outputs, y) + penalty(
            self.module, l1=settings.l1, l2=settings.l2, conventions=self.conventions
        )
        if self.extra_loss is not None:
            loss = loss + self.extra_loss(kernels(self.module), step)
            require(
                loss.numel() == 1,
                f"extra_loss must return one number, not values of shape {tuple(loss.shape)}",
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), outputs.detach()

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        data, settings = self.dataset, self.settings
        order = torch.randperm(len(data.y_train), generator=self.generators["order"], device="cpu")
        for batch in order.split(settings.batch_size):
            x, y = data.x_train[batch].detach(), data.y_train[batch].detach()
            if settings.augmentation:
                x = augment(x, self.generators["augmentation"], **settings.augmentation)
            if settings.memory_format == "channels_last":
                x = x.contiguous(memory_format=torch.channels_last)
            yield x, y

    def train_epoch(self, bar: tqdm) -> tuple[float, float]:
        """Train one epoch, a step of the bar a batch; return running averages of loss, accuracy."""
        self.module.train()
        loss_sum, n_correct = 0.0, 0.0
        for step, (x, y) in enumerate(self._batches()):
            loss, outputs = self._step(x, y, step)
            loss_sum += float(loss) * len(y)
            n_correct += self._n_correct(outputs, y)
            bar.update()
        n = len(self.dataset.y_train)
        return loss_sum / n, n_correct / n

    def _n_correct(self, outputs: torch.Tensor, y: torch.Tensor) -> float:
        if self.dataset.task == "regression":
            return float("nan")
        return int((outputs.argmax(1) == y).sum())

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Return loss and accuracy on the test set, without autocast; NaN for regression."""
        self._prune()
        self.module.eval()
        x, y = self.dataset.x_test, self.dataset.y_test
        # copies, which the network may write over
        outputs = torch.cat([self.module(part.clone()) for part in x.split(1000)])
        return float(self._loss(outputs, y)), self._n_correct(outputs, y) / len(y)

    def state(self) -> dict[str, torch.Tensor]:
        """Return all that the rest of the training depends on, to be stored after an epoch."""
        state = {f"weights.{k}": v for k, v in self.module.state_dict().items()}
        state |= {f"adam.{k}": v for k, v in self.optimizer.moments().items()}
        state |= {f"generator.{k}": v.get_state() for k, v in self.generators.items()}
        state["generator.torch"] = torch.get_rng_state()  # dropout has none of its own
        if self.device.type == "cuda":
            state["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.pruner is not None:
            state |= {f"pruner.{k}": v for k, v in self.pruner.state_dict().items()}
        state["n_steps"] = torch.tensor(self.optimizer.n_steps, device="cpu")
        state["history"] = torch.tensor(self.rows, dtype=torch.float64, device="cpu")
        return state

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a stored state; torch's global generators are set too."""
        parts = by_prefix(state)
        self.module.load_state_dict(parts["weights"])
        self.optimizer.continue_from(parts["adam"], int(state["n_steps"]))
        for name, generator in self.generators.items():
            generator.set_state(parts["generator"][name])
        torch.set_rng_state(parts["generator"]["torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(parts["generator"]["cuda"], self.device)
        if self.pruner is not None:
            self.pruner.load_state_dict(parts["pruner"])
        self.rows = [tuple(row) for row in state["history"].tolist()]
