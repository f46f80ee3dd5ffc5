"""Store of reports: keep all that screening found in one file, and read it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from localspec._utils.artifacts import read_artifact, take_apart, write_artifact
from localspec.clustering import Draws, Partition, subclusters
from localspec.conventions import Conventions
from localspec.exceptions import ArtifactError
from localspec.measures import Measure, assess
from localspec.screening._evidence import Evidence, Excitations, SequentialDraws, ShownImages
from localspec.screening._tables import group_table, tests_table

KEY = "localspec report 2"  # raise the number when what is kept changes
MEASURE_FIELDS = ("side", "effect_kind", "undefined_ranges")


def save_parts(path: Path, report: Mapping[str, Any]) -> Path:
    """Write the fields of a report; what follows from them is computed again when they are read."""
    partitions, shown = report["partitions"], report["shown"]
    arrays: dict[str, np.ndarray] = {}
    names = list(partitions)
    stored = {"names": names, "partitions": [], "measures": {}, "about": report["about"]}
    for index, name in enumerate(names):
        own, rest = take_apart(partitions[name])
        stored["partitions"].append(rest)
        arrays |= {f"partition/{index}/{key}": value for key, value in own.items()}
        rows = [units.ravel() for units in report["draws"][name].units]
        arrays[f"draws/{index}"] = np.concatenate(rows or [np.empty(0, int)]).astype(np.int32)
        flat = asdict(report["evidence"][name])
        flat |= flat.pop("excitations")
        arrays |= {f"evidence/{index}/{key}": value for key, value in flat.items()}
    for (name, measure), assessment in report["assessments"].items():
        values = assessment.measure
        where = f"{names.index(name)}/{measure}"
        arrays[f"values/{where}"] = values.values
        if values.effect_values is not values.values:
            arrays[f"effect_values/{where}"] = values.effect_values
        stored["measures"][measure] = {key: getattr(values, key) for key in MEASURE_FIELDS}
    for (name, measure), part in report["sequential"].items():
        where = f"{names.index(name)}/{measure}"
        arrays |= {f"sequential/{where}/{key}": value for key, value in asdict(part).items()}
    if shown is not None:
        arrays |= {f"shown/{key}": value for key, value in asdict(shown).items()}
    stored["baseline"] = report["baseline"]
    write_artifact(path, KEY, arrays, stored, variable="path")
    return path


def load_parts(path: Path) -> dict[str, Any]:
    """Return all fields of a report by name; refuse a file that is damaged or holds no report."""
    artifact = read_artifact(path, KEY)
    try:
        return _fields(artifact.arrays, artifact.description)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtifactError(f"{path} does not hold a report ({error}): screen again") from error


def _under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _fields(arrays: Mapping[str, np.ndarray], stored: Mapping[str, Any]) -> dict[str, Any]:
    about, settings = stored["about"], stored["about"]["settings"]
    conventions = Conventions(**settings["conventions"])
    partitions, draws, assessments, evidence, sequential = {}, {}, {}, {}, {}
    for index, name in enumerate(stored["names"]):
        own = _under(arrays, f"partition/{index}/")
        partition = Partition.from_stored(**own, **stored["partitions"][index])
        partitions[name] = partition
        draws[name] = _draws(partition, arrays[f"draws/{index}"], settings["n_draws"], conventions)
        flat = _under(arrays, f"evidence/{index}/")
        excited = {key: flat.pop(key) for key in Excitations.__dataclass_fields__}
        evidence[name] = Evidence(excitations=Excitations(**excited), **flat)
        for measure, fields in stored["measures"].items():
            where = f"{index}/{measure}"
            values = arrays[f"values/{where}"]
            effects = arrays.get(f"effect_values/{where}", values)
            made = Measure(name=measure, values=values, effect_values=effects, **fields)
            assessment = assess(made, conventions=conventions, seed=settings["seed"])
            further = _under(arrays, f"sequential/{where}/")
            if further:
                sequential[name, measure] = SequentialDraws(**further)
                assessment = replace(assessment, p_values=further["p_values"])
            assessments[name, measure] = assessment
    shown = _under(arrays, "shown/")
    level, measures = settings["level"], settings["measures"]
    return {
        "table": group_table(draws, assessments, measures, level),
        "tests": tests_table(assessments),
        "partitions": partitions,
        "draws": draws,
        "assessments": assessments,
        "baseline": stored["baseline"],
        "evidence": evidence,
        "sequential": sequential,
        "shown": ShownImages(**shown) if shown else None,
        "about": about,
    }


def _draws(
    partition: Partition, stored: np.ndarray, n_draws: int, conventions: Conventions
) -> Draws:
    """Return draws from their units, one after the other."""
    parts = subclusters(partition, conventions=conventions)
    stops = np.cumsum([n_draws * part.n_units for part in parts])
    rows = np.split(stored.astype(np.int64), stops[:-1]) if parts else []
    units = tuple(row.reshape(n_draws, -1) for row in rows)
    return Draws(parts, units, n_draws)
