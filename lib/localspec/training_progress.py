"""The progress bar of a training, with an early estimate of the time it takes."""

from __future__ import annotations

import sys
import time

from tqdm.auto import tqdm

N_WARM_UP, N_TIMED = 5, 20  # steps: the first ones are slow
LONG_S = 60.0


def duration(seconds: float) -> str:
    """Return a duration as people say it.

    Examples
    --------
    >>> [duration(seconds) for seconds in (47.3, 600, 9000)]
    ['47 s', '10 min', '2.5 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class TrainingBar:
    """Shows epoch, loss, accuracy and the time left; a context manager.

    Parameters
    ----------
    description : str
    n_epochs, n_batches : int
        Epochs of the training, batches of an epoch.
    n_done : int
        Epochs done before.
    show : bool
    """

    def __init__(
        self, description: str, n_epochs: int, n_batches: int, n_done: int, *, show: bool
    ) -> None:
        self.description, self.show = description, show
        self.n_steps, self.n_left = 0, (n_epochs - n_done) * n_batches
        self.bar = tqdm(
            total=n_epochs * n_batches,
            initial=n_done * n_batches,
            desc=description,
            unit="batch",
            disable=not show,
        )
        if show and n_done:
            self._say(f"goes on after epoch {n_done} of {n_epochs}")

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(self, *problem: object) -> None:
        self.bar.close()

    def _say(self, what: str) -> None:
        tqdm.write(f"{self.description}: {what}", file=sys.stderr)

    def step(self) -> None:
        """Count a step; after the first few, say how long all will take if that is long."""
        self.bar.update()
        self.n_steps += 1
        if self.n_steps == N_WARM_UP:
            self._begin = time.monotonic()
        if self.n_steps == N_WARM_UP + N_TIMED:
            seconds = (time.monotonic() - self._begin) / N_TIMED * self.n_left
            if self.show and seconds > LONG_S:
                self._say(f"about {duration(seconds)}")

    def epoch(self, number: int, loss: float, accuracy: float) -> None:
        """Show what an epoch ended with: its training loss and the test accuracy."""
        self.bar.set_postfix(epoch=number, loss=f"{loss:.4g}", test_accuracy=f"{accuracy:.4f}")
