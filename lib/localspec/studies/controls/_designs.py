"""Designs: planted networks of parts that see different pixels, or serve one class each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import torch

from localspec._utils.validation import check_option, require
from localspec.data import Dataset
from localspec.pipeline import Choices, CoherenceControlsSection, Profile, load_profile
from localspec.studies.controls._planted import (
    PlantedReplicate,
    block_diagonal,
    with_noise,
)

CLASS_HALVES, PIXEL_HALVES, ONE_CLASS = "halves of classes", "halves of pixels", "one class each"
DESIGNS = (CLASS_HALVES, PIXEL_HALVES, ONE_CLASS)


def pixel_half(image_shape: Sequence[int], index: int) -> np.ndarray:
    """Return which pixels the left half of an image has (index 0), or the right one (index 1).

    Examples
    --------
    >>> pixel_half((1, 1, 5), 0).tolist(), pixel_half((1, 1, 5), 1).tolist()
    ([[[True, True, False, False, False]]], [[[False, False, True, True, True]]])
    """
    is_left = np.arange(image_shape[-1]) < image_shape[-1] // 2
    return np.broadcast_to(is_left if index == 0 else ~is_left, tuple(image_shape))


def part_dataset(dataset: Dataset, design: str, index: int) -> Dataset:
    """Return what a part of a planted network is trained on.

    ``"halves of pixels"``: all images, of which the other half is black. ``"one class each"``: all
    images, labelled 1 if they are of the class `index`, else 0.
    """
    check_option("design", design, (PIXEL_HALVES, ONE_CLASS))
    name = f"{dataset.name}, {design}, {index}"
    if design == PIXEL_HALVES:
        seen = torch.from_numpy(pixel_half(dataset.image_shape, index).copy())
        return replace(
            dataset, name=name, x_train=dataset.x_train * seen, x_test=dataset.x_test * seen
        )
    return replace(
        dataset,
        name=name,
        y_train=(dataset.y_train == index).long(),
        y_test=(dataset.y_test == index).long(),
        class_names=("other", dataset.class_names[index]),
    )


def glue_parts(
    parts: Sequence[Mapping[str, np.ndarray]],
    *,
    seen: Sequence[np.ndarray] | None = None,
    add_outputs: bool = False,
    noise: float = 0.0,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Glue chains of dense layers side by side.

    Each part has weights (n_out, n_in) and biases (n_out,) under the same names, in the order of
    the layers. `seen` has the pixels that each part sees, shape (n_pixels,); by default all see
    all. With `add_outputs` the parts' logits are added; otherwise each part has logits of its own.
    `noise`, at least 0, is the standard deviation of the weights between parts, and of those from
    pixels that a part does not see, in units of that of the layer's other weights; at every level
    the same normal numbers are scaled. Of two parts, each of which sees its own pixels::

        first kernel          later kernels         output, added
        [ first  noise  ]     [ first  noise  ]     [ first  second ]
        [ noise  second ]     [ noise  second ]

    Examples
    --------
    >>> part = {"a.weight": np.ones((1, 2)), "b.weight": np.full((1, 1), 3.0)}
    >>> glued = glue_parts([part, part], seen=[np.array([1, 0]), np.array([0, 1])])
    >>> glued["a.weight"].tolist(), glued["b.weight"].tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, 3.0]])
    """
    names = list(parts[0])
    require(all(list(part) == names for part in parts), "all parts must have the same layers")
    require(noise >= 0, f"noise={noise} must be at least 0")
    rng = np.random.default_rng(seed)
    kernels = [name for name in names if parts[0][name].ndim > 1]
    outputs = names[names.index(kernels[-1]) :]
    glued = {}
    for name in names:
        values = [part[name] for part in parts]
        if name in outputs and add_outputs:
            glued[name] = np.concatenate(values, axis=1) if values[0].ndim > 1 else sum(values)
        elif values[0].ndim == 1:
            glued[name] = np.concatenate(values)
        elif name == kernels[0]:
            all_seen = [np.ones(values[0].shape[1])] * len(parts) if seen is None else seen
            within = np.concatenate(
                [
                    np.broadcast_to(np.asarray(pixels, dtype=bool), value.shape)
                    for pixels, value in zip(all_seen, values, strict=True)
                ]
            )
            glued[name] = with_noise(np.concatenate(values), within, noise, rng)
        else:
            glued[name] = block_diagonal(values, noise, rng)
    return glued


class DesignedReplicate(PlantedReplicate):
    """A network glued from parts that were trained apart, with the parts as its clusters.

    Parameters
    ----------
    profile : Profile
    network : str
        Its hidden layers are shared out among the parts.
    seed : int
        The parts are trained with seeds n seed, n seed + 1 and so on, n being their number.
    design : {"halves of pixels", "one class each"}
        See :func:`part_dataset`. The logits of halves of pixels are added. A part for one class has
        one logit, see :func:`with_evidence`.
    noise, shuffled, compute, progress
        As in :class:`localspec.studies.controls.PlantedReplicate`.

    References
    ----------
    Hod et al., arXiv:2110.08058; "Planted networks" is this project's control.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        *,
        design: str,
        noise: float = 0.0,
        shuffled: bool = False,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        self.design = check_option("design", design, (PIXEL_HALVES, ONE_CLASS))
        super().__init__(
            profile,
            network,
            seed,
            noise=noise,
            shuffled=shuffled,
            known=True,
            compute=compute,
            progress=progress,
        )
        self.choices = Choices(n_clusters=self.n_parts)

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return 2 if self.design == PIXEL_HALVES else self.dataset.n_classes

    def _part_choice(self, index: int) -> dict[str, object]:
        return {"design": self.design, "part": index}

    def _part_dataset(self, index: int) -> Dataset:
        return part_dataset(self.dataset, self.design, index)

    def _glued(self, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        seen = None
        if self.design == PIXEL_HALVES:
            seen = [pixel_half(self.dataset.image_shape, index).ravel() for index in (0, 1)]
        else:
            parts = [with_evidence(part) for part in parts]
        return glue_parts(
            parts, seen=seen, add_outputs=seen is not None, noise=self.noise, seed=self.seed
        )

    def _design(self) -> dict[str, object]:
        return {"design": self.design}


def with_evidence(part: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a part for two classes with one logit: the evidence for the second.

    The last kernel and bias are those of the second logit less those of the first, and weights
    below 0 are set to 0: where units that speak against the class decide, a silenced part would let
    its class win by default.

    Examples
    --------
    >>> part = {"b.weight": np.array([[1.0, 5.0], [3.0, 2.0]]), "b.bias": np.array([0.5, 0.0])}
    >>> {name: value.tolist() for name, value in with_evidence(part).items()}
    {'b.weight': [[2.0, 0.0]], 'b.bias': [-0.5]}
    """
    *before, weight, bias = part
    last = {name: part[name][1:] - part[name][:1] for name in (weight, bias)}
    last[weight] = np.maximum(last[weight], 0.0)
    return {name: part[name] for name in before} | last


def design_of(replicate: PlantedReplicate) -> str:
    """Return the name of a planted network's design."""
    return getattr(replicate, "design", CLASS_HALVES)


def recovery(replicate: PlantedReplicate) -> float:
    """Return the adjusted Rand score of clusters found in the weights with the parts."""
    found = copy(replicate)
    found.known = False
    return found.adjusted_rand()


def open_designs(
    section: CoherenceControlsSection, *, progress: bool = True
) -> list[PlantedReplicate]:
    """Return the planted networks that a notebook's parameters name, their parts as clusters.

    Parameters
    ----------
    section : CoherenceControlsSection
    progress : bool, optional

    Returns
    -------
    list of PlantedReplicate
        Designs x (noises, then the shuffled copy of the one without noise) x seeds. "halves of
        classes" are those of the page 06_controls.

    Raises
    ------
    InvalidInputError
        If the profile or one of its networks does not exist.
    """
    profile = load_profile(section.profile).select(section)
    (network,) = profile.networks
    variants = [(noise, False) for noise in section.noises] + [(0.0, True)]
    opened: list[PlantedReplicate] = []
    for design in DESIGNS:
        for noise, shuffled in variants:
            shared = {
                "noise": noise,
                "shuffled": shuffled,
                "compute": section.compute,
                "progress": progress,
            }
            for seed in profile.seeds:
                if design == CLASS_HALVES:
                    two = Choices(n_clusters=2)
                    replicate = PlantedReplicate(profile, network, seed, two, known=True, **shared)
                else:
                    replicate = DesignedReplicate(profile, network, seed, design=design, **shared)
                opened.append(replicate)
    return opened
