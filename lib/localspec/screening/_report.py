"""Reports: hold what screening found, say it, keep it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from localspec._utils.files import write_atomically
from localspec._utils.validation import check_integer, check_option, check_path, require, shown
from localspec.clustering import Draws, Partition
from localspec.exceptions import InvalidInputError
from localspec.measures import Assessment
from localspec.screening._evidence import Evidence, SequentialDraws, ShownImages
from localspec.screening._groups import Finding, ScreenedGroup
from localspec.screening._store import load_parts, save_parts
from localspec.screening._tables import Count, chance_rate, counts, lowest_p

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_LISTED = 10  # groups that a notebook lists


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What screening found.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a tested subcluster, those that stand out most first: ``partitioning``,
        ``layer``, ``cluster``, ``n_units``, for each measure its value and p, ``evidence`` (sum
        over measures of -ln p) and ``n_extreme`` (measures with p at most `level`).
    tests : pandas.DataFrame
        One row a partitioning and measure: permutation Fisher over all its subclusters.
    partitions : dict of str to Partition
    draws : dict of str to Draws
        With sequential draws: the first ones.
    assessments : dict of (str, str) to Assessment
        By partitioning and measure.
    baseline : float
        Accuracy without a lesion, averaged over classes.
    evidence : dict of str to Evidence
        By partitioning: damage by class, pictures, excitations.
    sequential : dict of (str, str) to SequentialDraws
        By partitioning and measure; empty unless draws went on until a decision.
    shown : ShownImages or None
        The images that excite groups most.
    about : dict
        JSON values: settings, seed, versions, seconds of each step, what was screened.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    partitions: dict[str, Partition]
    draws: dict[str, Draws]
    assessments: dict[tuple[str, str], Assessment]
    baseline: float
    evidence: dict[str, Evidence] = field(default_factory=dict)
    sequential: dict[tuple[str, str], SequentialDraws] = field(default_factory=dict)
    shown: ShownImages | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def units(self, row: int) -> np.ndarray:
        """Return the units of the subcluster in a row of the table, as indices in its layer."""
        name, index = self._position(row)
        return self.draws[name].subclusters[index].units

    def _position(self, row: int) -> tuple[str, int]:
        """Return the partitioning of a row of the table, and the subcluster's position in it."""
        require(len(self.table) > 0, f"there is no row {shown(row)}: the table is empty")
        row = check_integer("row", row, 0, len(self.table) - 1)
        entry = self.table.iloc[row]
        for index, part in enumerate(self.draws[entry["partitioning"]].subclusters):
            if (part.layer, part.cluster) == (entry["layer"], entry["cluster"]):
                return entry["partitioning"], index
        raise InvalidInputError(f"row {row} names a subcluster that was not tested")

    @property
    def measures(self) -> list[str]:
        """Measures that were computed."""
        return list(dict.fromkeys(measure for _, measure in self.assessments))

    @property
    def level(self) -> float:
        """What p counts as extreme up to."""
        return self.about["settings"]["level"]

    @property
    def rule(self) -> str:
        """Rule of the p-values; ``"sequential"`` where draws went on until a decision."""
        conventions = self.about["settings"]["conventions"]
        return "sequential" if self.sequential else conventions["p_rule"]

    @property
    def lowest_p(self) -> float:
        """Lowest p-value that the draws can give, if nothing ties."""
        settings = self.about["settings"]
        return lowest_p(settings["max_draws" if self.sequential else "n_draws"], self.rule)

    def __repr__(self) -> str:
        network = self.about.get("network", "a network")
        return f"<Report of {network}: {len(self.table)} groups in {len(self.draws)} partitions>"

    def counts(self) -> list[Count]:
        """Return how many groups stand out in each measure, and how many would by chance."""
        self._check_complete()
        rate = chance_rate(self.level, self.about["settings"]["n_draws"], self.rule)
        return counts(self.assessments, self.measures, self.level, rate)

    def _check_complete(self) -> None:
        require(
            bool(self.about),
            "this report was made by hand: only those that screen returns can be written",
        )

    def group(self, row: int) -> ScreenedGroup:
        """Return all that is known of the subcluster in a row of the table."""
        name, index = self._position(row)
        self._check_complete()
        part, evidence = self.draws[name].subclusters[index], self.evidence[name]
        layer = next(each for each in self.partitions[name].layers if each.name == part.layer)
        findings = {m: self._finding(name, m, index) for m in self.measures}
        return ScreenedGroup(
            rank=int(row),
            partitioning=name,
            layer=part.layer,
            cluster=part.cluster,
            units=part.units,
            n_in_layer=layer.n_units,
            findings=findings,
            lost=evidence.lost[index],
            random_lost=evidence.random_lost[index],
            picture=evidence.pictures[index],
            random_picture=evidence.random_pictures[index],
            exciting=evidence.excitations.exciting[index],
            edges=evidence.excitations.edges[index],
            counts=evidence.excitations.counts[index],
            random_counts=evidence.excitations.random_counts[index],
        )

    def groups(self) -> list[ScreenedGroup]:
        """Return all that is known of every subcluster, in the order of the table."""
        return [self.group(row) for row in range(len(self.table))]

    def _finding(self, name: str, measure: str, index: int) -> Finding:
        finding = Finding.from_assessment(self.assessments[name, measure], index, self.level)
        further = self.sequential.get((name, measure))
        if further is None:
            return finding
        return replace(finding, draws=further.values[: further.n_draws[index], index])

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that needs no other file and no network.

        A summary, then a card for each group: its units, each measure against its random
        counterparts, its picture beside a random counterpart's, the images that excite it most,
        what each class loses without it, and how strongly images excite it.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Path

        Raises
        ------
        InvalidInputError
            If `path` is no path of a file; ``~`` is the home folder.
        ArtifactError
            If the file cannot be written.
        """
        from localspec.screening._html import report_html

        self._check_complete()
        path = _file_path(path)
        return _write_text(path, report_html(self.groups(), self.counts(), self._page()))

    def _page(self) -> dict[str, Any]:
        """Return what the page says beside its groups."""
        return {
            "about": self.about,
            "baseline": self.baseline,
            "tests": self.tests,
            "level": self.level,
            "rule": self.rule,
            "lowest_p": self.lowest_p,
            "shown": self.shown,
        }

    def to_csv(self, path: str | Path) -> Path:
        """Write the table, with each group's units, effects and random means; return the path."""
        self._check_complete()
        path = _file_path(path)
        rows = []
        for group in self.groups():
            row = self.table.iloc[group.rank].to_dict()
            for measure, finding in group.findings.items():
                row[f"{measure}_random"] = finding.random_mean
                row[f"{measure}_effect"] = finding.effect
            row["units"] = " ".join(map(str, group.units))
            rows.append(row)
        table = pd.DataFrame(rows) if rows else self.table
        return _write_text(path, table.to_csv(index=False))

    def to_json(self, path: str | Path) -> Path:
        """Write the summary and all numbers of every group, null where undefined."""
        self._check_complete()
        path = _file_path(path)
        groups = [
            {
                "partitioning": group.partitioning,
                "layer": group.layer,
                "cluster": group.cluster,
                "units": group.units.tolist(),
                "stands_out_in": group.stands_out_in,
                "measures": {
                    name: {
                        "value": finding.value,
                        "p": finding.p_value,
                        "effect": finding.effect,
                        "extreme_side": finding.side,
                        "draws": finding.draws.tolist(),
                    }
                    for name, finding in group.findings.items()
                },
                "accuracy_lost": group.lost.tolist(),
                "accuracy_lost_random": group.random_lost.tolist(),
                "exciting_images": group.exciting.tolist(),
            }
            for group in self.groups()
        ]
        content = {
            "about": self.about,
            "baseline": self.baseline,
            "lowest_p": self.lowest_p,
            "counts": [vars(count) for count in self.counts()],
            "tests": self.tests.to_dict("records"),
            "groups": groups,
        }
        return _write_text(path, json.dumps(_without_nan(content), indent=1, allow_nan=False))

    def save(self, path: str | Path) -> Path:
        """Keep the report in one file, without pickle; see :meth:`load`."""
        self._check_complete()
        return save_parts(_file_path(path), vars(self))

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Return a report that :meth:`save` kept.

        Raises
        ------
        ArtifactError
            If there is no such file, or it is damaged or no report.
        """
        return cls(**load_parts(check_path("path", path)))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the summary and the first groups."""
        if not self.about:
            return self.table.head(N_LISTED)._repr_html_()
        from localspec.screening._html import summary_html

        first = [self.group(row) for row in range(min(N_LISTED, len(self.table)))]
        return summary_html(first, self.counts(), self._page())

    def plot_measure(self, measure: str) -> Figure:
        """Draw one measure of every group against its random counterparts.

        Parameters
        ----------
        measure : str
            One of those that were computed.

        Returns
        -------
        matplotlib.figure.Figure
            An axis for each partitioning; groups in the order of the table, those that stand out
            in another colour.
        """
        from localspec.screening._plots import plot_measure

        check_option("measure", measure, self.measures)
        return plot_measure(self.groups(), measure)

    def plot_group(self, row: int) -> Figure:
        """Draw the measures of one group against its random counterparts, and its pictures.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from localspec.screening._plots import plot_group

        return plot_group(self.group(row))


def _file_path(path: object) -> Path:
    """Return the path of a file that is to be written."""
    path = check_path("path", path)
    require(not os.path.isdir(path), f"path {str(path)!r} is a folder: name a file in it")
    return path


def _write_text(path: Path, text: str) -> Path:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"), variable="path")
    return path


def _without_nan(value: Any) -> Any:
    """Return JSON values with None for what is not finite."""
    if isinstance(value, Mapping):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
