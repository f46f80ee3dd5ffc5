"""Reports: hold what screening found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from localspec._utils.validation import check_integer, require, shown
from localspec.clustering import Draws, Partition
from localspec.exceptions import InvalidInputError
from localspec.measures import Assessment


@dataclass(frozen=True)
class Report:
    """What screening found.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a tested subcluster, most specialized first: ``partitioning``, ``layer``,
        ``cluster``, ``n_units``, for each measure its value and p, ``evidence`` (sum over
        measures of -ln p) and ``n_extreme`` (measures with p at most `level`).
    tests : pandas.DataFrame
        One row a partitioning and measure: permutation Fisher over all its subclusters.
    partitions : dict of str to Partition
    draws : dict of str to Draws
    assessments : dict of (str, str) to Assessment
        By partitioning and measure.
    baseline : float
        Accuracy without a lesion, averaged over classes.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    partitions: dict[str, Partition]
    draws: dict[str, Draws]
    assessments: dict[tuple[str, str], Assessment]
    baseline: float

    def units(self, row: int) -> np.ndarray:
        """Return the units of the subcluster in a row of the table, as indices in its layer."""
        require(len(self.table) > 0, f"there is no row {shown(row)}: the table is empty")
        check_integer("row", row, 0, len(self.table) - 1)
        entry = self.table.iloc[row]
        for part in self.draws[entry["partitioning"]].subclusters:
            if (part.layer, part.cluster) == (entry["layer"], entry["cluster"]):
                return part.units
        raise InvalidInputError(f"row {row} names a subcluster that was not tested")
