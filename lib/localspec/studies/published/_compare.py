"""Comparison: whether our figures agree with the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from localspec._utils.validation import check_option
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings
from localspec.pipeline import Reading, Replicate, by_network
from localspec.studies.published._data import load_published

QUANTITIES = ("ncut", "shuffled_ncut_mean", "test_accuracy")
HOLDS, DIFFERS = "holds", "differs"
KERNEL_NORM = Reading("kernel_norm", "induced")
DROPPED_WEIGHTS = Reading("dropped_weights", "return")
Z = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True)
class Comparison:
    """Our values of one quantity beside the published ones, each of shape (n_replicates,)."""

    ours: np.ndarray
    published: np.ndarray
    low: float  # where the mean of ours must lie: the published range, widened on each side
    high: float
    difference: float  # standardised, of means, ours less published (Hedges' g)
    interval: tuple[float, float]  # its 95 % interval

    @property
    def holds(self) -> bool:
        """Whether the mean of ours lies in the widened range."""
        return bool(self.low <= self.ours.mean() <= self.high)

    @property
    def verdict(self) -> str:
        """``"holds"`` or ``"differs"``."""
        return HOLDS if self.holds else DIFFERS


def standardised_difference(
    means: tuple[float, float], stds: tuple[float, float], sizes: tuple[int, int]
) -> tuple[float, tuple[float, float]]:
    """Return Hedges' g of two samples, the first less the second, with its 95 % interval.

    The standard deviations are those of samples of at least two each; NaN if nothing varies. The
    interval takes the difference for normal with variance ``1/n + 1/m + g^2 / (2 (n + m))`` (Hedges
    and Olkin 1985).

    Examples
    --------
    >>> difference, interval = standardised_difference((5.0, 2.0), (1.0, 1.0), (3, 3))
    >>> round(difference, 6)
    2.4
    """
    n, m = sizes
    pooled = ((n - 1) * stds[0] ** 2 + (m - 1) * stds[1] ** 2) / (n + m - 2)
    correction = 1 - 3 / (4 * (n + m) - 9)
    g = correction * (means[0] - means[1]) / np.sqrt(pooled) if pooled > 0 else np.nan
    error = Z * np.sqrt(1 / n + 1 / m + g**2 / (2 * (n + m)))
    return float(g), (float(g - error), float(g + error))


def compare(ours: np.ndarray, published: np.ndarray, *, least_margin: float = 0.0) -> Comparison:
    """Compare our replicates with published ones.

    At least two finite values of each, one a replicate. The published range is widened on each side
    by the standard deviation over published replicates, or by `least_margin` where that is larger.

    The standard deviation is that of a sample.

    Examples
    --------
    Published 10.0 to 10.2 with standard deviation 0.1: ours may lie from 9.9 to 10.3.

    >>> comparison = compare(np.array([10.25, 10.31]), np.array([10.0, 10.1, 10.2]))
    >>> comparison.verdict, round(comparison.low, 6), round(comparison.high, 6)
    ('holds', 9.9, 10.3)
    """
    arrays = {"ours": np.asarray(ours, float), "published": np.asarray(published, float)}
    for name, values in arrays.items():
        if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
            raise InvalidInputError(
                f"{name} must be two or more finite values, one a replicate, not {values.tolist()}"
            )
    ours, published = arrays.values()
    margin = max(published.std(ddof=1), least_margin)
    difference, interval = standardised_difference(
        (ours.mean(), published.mean()),
        (ours.std(ddof=1), published.std(ddof=1)),
        (len(ours), len(published)),
    )
    return Comparison(
        ours,
        published,
        low=float(published.min() - margin),
        high=float(published.max() + margin),
        difference=difference,
        interval=interval,
    )


def measured_quantities(group: Sequence[Replicate]) -> dict[str, np.ndarray]:
    """Return what is compared of a network's replicates: quantity to shape (n_replicates,)."""
    results = [replicate.clusterability() for replicate in group]
    values = {
        "ncut": np.array([result.statistic for result in results]),
        "shuffled_ncut_mean": np.array([result.null.mean() for result in results]),
    }
    if group[0].dataset.task == "classification":
        accuracies = [replicate.trained.history["test_accuracy"][-1] for replicate in group]
        values["test_accuracy"] = np.array(accuracies)
    return values


def _rows(name: str, reading: str, group: Sequence[Replicate], rows: pd.DataFrame) -> list:
    table = []
    for quantity, ours in measured_quantities(group).items():
        theirs = rows[quantity].to_numpy()
        spread = rows["shuffled_ncut_std"].mean() if quantity == "shuffled_ncut_mean" else 0.0
        comparison = compare(ours, theirs, least_margin=spread)
        table.append(
            {
                "network": name,
                "reading": reading,
                "quantity": quantity,
                "ours": ours.mean(),
                "ours_std": ours.std(ddof=1),
                "n_ours": len(ours),
                "ours_min": ours.min(),
                "ours_max": ours.max(),
                "published": theirs.mean(),
                "published_std": theirs.std(ddof=1),
                "published_min": theirs.min(),
                "published_max": theirs.max(),
                "allowed_low": comparison.low,
                "allowed_high": comparison.high,
                "verdict": comparison.verdict,
                "difference": comparison.difference,
                "difference_low": comparison.interval[0],
                "difference_high": comparison.interval[1],
            }
        )
    return table


def published_rows(model: str, *, pruned: bool) -> pd.DataFrame:
    """Return the published replicates of one configuration."""
    table = load_published("clusterability")
    table = table[table["pruned"] == pruned]
    what = f"published {'pruned' if pruned else 'unpruned'} model"
    check_option(what, model, list(dict.fromkeys(table["model"])))
    return table[table["model"] == model]


def other_readings(settings: NetworkSettings) -> list[Reading]:
    """Return the forks that published figures of such a network are known to depend on."""
    others = [KERNEL_NORM] if settings.architecture != "mlp" else []
    return others + ([DROPPED_WEIGHTS] if settings.n_pruning_epochs and settings.l1 else [])


def published_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Compare networks with their published counterparts.

    Parameters
    ----------
    replicates : sequence of Replicate
        Under the plain reading. Networks with convolutions are compared under the released
        kernel norm as well; networks pruned under L1, which have many weights near zero, also
        with dropped weights that may return.

    Returns
    -------
    pandas.DataFrame
        One row a network, reading and quantity (n-cut, mean n-cut of shuffled copies, and where
        there are classes test accuracy): our mean and the published one, the range that ours
        must lie in, the verdict, and the standardised difference with its 95 % interval.

    Raises
    ------
    InvalidInputError
        If there is no replicate, a network has no published counterpart, or settings are not those
        of the published figures.
    """
    if not replicates:
        raise InvalidInputError(
            "no network with published figures is trained for every seed: train them with "
            "localspec train, or set untrained='train'"
        )
    table = []
    for group in by_network(replicates):
        name, settings = group[0].network, group[0].settings
        if settings.published is None:
            raise InvalidInputError(f"no figures are published of network {name!r}")
        rows = published_rows(settings.published, pruned=settings.n_pruning_epochs > 0)
        method = group[0].profile.method
        for setting in ("n_clusters", "n_shuffles"):
            value, wanted = getattr(method, setting), int(rows[setting].iloc[0])
            if value != wanted:
                raise InvalidInputError(
                    f"{setting} = {value}, but the published figures have {wanted}: set that"
                )
        table += _rows(name, group[0].reading, group, rows)
        for reading in other_readings(settings):
            other = [replicate.with_choices(**reading.changes) for replicate in group]
            table += _rows(name, str(reading), other, rows)
    return pd.DataFrame(table)
