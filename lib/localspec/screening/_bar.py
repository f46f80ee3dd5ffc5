"""Bar: one progress bar over all steps of a screening."""

from __future__ import annotations

from tqdm.auto import tqdm


class Bar:
    """Counts passes of images through the network; shown, if `active`, from the first step on."""

    def __init__(self, active: bool) -> None:
        self.active, self.n, self.total = active, 0, 0
        self._bar: tqdm | None = None

    def describe(self, step: str) -> None:
        """Name what is done now."""
        if self.active and self._bar is None:
            self._bar = tqdm(total=self.total, unit="pass", unit_scale=True)
        if self._bar is not None:
            self._bar.set_description_str(step)  # the bar adds a colon

    def expect(self, n_passes: int) -> None:
        """Add passes that are to come."""
        self.total += n_passes
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.refresh()

    def advance(self, n_passes: int) -> None:
        """Count passes that are done."""
        self.n += n_passes
        if self._bar is not None:
            self._bar.update(n_passes)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
