"""Settings of a screening: every choice with its default, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch

from localspec._utils.validation import (
    check_flag,
    check_integer,
    check_option,
    check_options,
    check_path,
    check_real,
    check_seed,
    require,
    shown,
)
from localspec.clustering import MAX_DRAWS, PARTITIONINGS, Partition
from localspec.conventions import Conventions, resolve
from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.screening._standardized import Preprocess, read_preprocess

OF_WEIGHTS = tuple(name for name in PARTITIONINGS if name.startswith("weights"))
PRECISIONS = ("full", "bfloat16")
MAX_MEMORY = 2**31  # bytes of images kept in memory


@dataclass(frozen=True, eq=False)
class Settings:
    """Settings of :func:`localspec.screening.screen`, which says what they mean."""

    x_train: object = None
    n_clusters: int = 6
    partitions: Mapping[str, Partition] | None = None
    partitionings: Sequence[str] | None = None
    layers: Sequence[str] | None = None
    measures: Sequence[str] = MEASURES
    n_draws: int = 19
    max_draws: int | None = None
    n_images: int = 4992
    seed: int = 0
    level: float = 0.05
    conventions: Conventions | str = "paper"
    class_names: Sequence[str] | None = None
    preprocess: object = None
    device: str | torch.device | None = None
    precision: str = "full"
    max_memory: int = MAX_MEMORY
    folder: str | Path | None = None
    progress: bool = False

    def checked(self) -> Settings:
        """Return the settings as plain values; refuse those that are not allowed."""
        conventions = resolve(self.conventions)
        n_draws = check_integer("n_draws", self.n_draws, 1, MAX_DRAWS)
        max_draws = self.max_draws
        if max_draws is not None:
            max_draws = check_integer("max_draws", max_draws, n_draws + 1, MAX_DRAWS)
            require(
                conventions.undefined_ranges != "left_out",
                "max_draws has no stopping rule where undefined ranges are left out: use "
                "Conventions(undefined_ranges='least_extreme')",
            )
        partitionings = self.partitionings
        if partitionings is not None:
            check_options("partitionings", partitionings, PARTITIONINGS)
            require(len(partitionings) > 0, "partitionings must name at least one")
            # in the order of the list: seeds and tables go by it
            partitionings = [name for name in PARTITIONINGS if name in partitionings]
        check_options("measures", self.measures, MEASURES)
        require(len(self.measures) > 0, "measures must name at least one")
        check_option("precision", self.precision, PRECISIONS)
        names = self.class_names
        require(
            names is None
            or (
                isinstance(names, Sequence)
                and not isinstance(names, str)
                and all(isinstance(name, str) for name in names)
            ),
            f"class_names must be a list of text, one name a class, not {shown(names)}",
        )
        return replace(
            self,
            n_clusters=check_integer("n_clusters", self.n_clusters, 2),
            partitionings=partitionings,
            measures=[name for name in MEASURES if name in self.measures],
            n_draws=n_draws,
            max_draws=max_draws,
            n_images=check_integer("n_images", self.n_images, 3),
            seed=check_seed(self.seed),
            level=float(check_real("level", self.level, 0, 1)),
            conventions=conventions,
            class_names=None if names is None else list(names),
            preprocess=read_preprocess(self.preprocess),
            device=None if self.device is None else _device(self.device),
            max_memory=check_integer("max_memory", self.max_memory, 0),
            progress=check_flag("progress", self.progress),
            folder=_folder(self.folder),
        )

    def for_network(self, hooked: bool) -> Settings:
        """Return the settings with all partitionings that a network has, where none is named."""
        if self.partitionings is not None:
            return self
        all_of_them = [name for name in PARTITIONINGS if not (hooked and name in OF_WEIGHTS)]
        return replace(self, partitionings=all_of_them)

    def as_json(self) -> dict[str, Any]:
        """Return the settings that a report keeps."""
        preprocess = self.preprocess
        standardization = None
        if isinstance(preprocess, Preprocess):
            standardization = {"mean": list(preprocess.mean), "std": list(preprocess.std)}
        return {
            "n_clusters": self.n_clusters if self.partitions is None else None,
            "partitionings": list(
                self.partitionings if self.partitions is None else self.partitions
            ),
            "layers": None if self.layers is None else list(self.layers),
            "measures": list(self.measures),
            "n_draws": self.n_draws,
            "max_draws": self.max_draws,
            "n_images": self.n_images,
            "seed": self.seed,
            "level": self.level,
            "conventions": self.conventions.model_dump(),
            "preprocess": standardization,
            "precision": self.precision,
        }


def _folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    path = check_path("folder", folder, "folder")
    require(not os.path.isfile(path), f"folder {str(path)!r} is a file: name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"folder {str(path)!r} cannot be made: {error}") from error
    try:
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InvalidInputError(
            f"folder {str(path)!r} cannot be written: {error}; name another one"
        ) from error
    return path


def _device(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInputError(f"device {shown(name)} cannot be used: {reason}") from error
    require(device.type != "meta", "device 'meta' holds no values: name another")
    return device
