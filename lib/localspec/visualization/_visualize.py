"""Feature visualization: optimise images that excite sets of units, many at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import torch
from torch import fx
from tqdm.auto import tqdm

from localspec._utils.hardware import SMALL_PASS, is_small, side_by_side
from localspec._utils.validation import (
    as_array,
    check_flag,
    check_integer,
    check_real,
    check_seed,
    check_type,
    check_unit_sets,
    shown,
)
from localspec.clustering import Draws, Lesion
from localspec.exceptions import InvalidInputError
from localspec.units import (
    HookedUnits,
    Network,
    UnitMap,
    Units,
    check_classes,
    check_gradients,
    check_logits,
    count_logits,
    fast_convolutions,
    spatial_means,
    units_of,
)
from localspec.visualization._parametrisation import decoder, initial_parameters

N_STEPS = 64
LEARNING_RATE = 0.05
ADAM_EPSILON = 1e-8
N_REDIRECTED_STEPS = 17
MAX_IMAGES = 2048
MAX_VALUES = {"cpu": 2**21, "cuda": 2**29}  # that one pass keeps for its gradients
MIN_PARTS = 4  # into which a layer's images are split, so that several cores have work
MAX_PIXELS = 2**26  # of one image
MOST_STEPS = 10**6
SMALL_PART = 2**18  # values of a part that is split no further: Python's own work would prevail


@dataclass(frozen=True)
class Visualizations:
    """Images optimised for sets of units.

    Attributes
    ----------
    images : numpy.ndarray, shape (n_targets, n_channels, height, width)
        In [0, 1], after ``n_steps + 1`` updates.
    scores : numpy.ndarray, shape (n_targets,)
        Objective after ``n_steps`` updates.
    entropies : numpy.ndarray, shape (n_targets,)
        Entropy in nats of the network's softmax on `images`, always of double precision.
    """

    images: np.ndarray
    scores: np.ndarray
    entropies: np.ndarray

    def arranged(self, draws: Draws) -> Visualizations:
        """Return the arrays as (n_draws + 1, n_subclusters, ...), row 0 true."""
        check_type("draws", draws, Draws, "those whose lesions() were visualized")
        return Visualizations(
            images=draws.arrange(self.images),
            scores=draws.arrange(self.scores),
            entropies=draws.arrange(self.entropies),
        )


class _RedirectedReLU(torch.autograd.Function):
    """ReLU that lets a gradient through where an image would get none at all."""

    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return value.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        (value,) = ctx.saved_tensors
        # the gradient of torch's own threshold, which is much faster than a mask; 0 lets it through
        below_zero = -torch.finfo(value.dtype).smallest_normal
        plain = torch.ops.aten.threshold_backward(gradient, value, below_zero)
        blocked = plain.abs().amax(dim=tuple(range(1, plain.ndim))) == 0
        if not blocked.any():
            return plain
        # the objective is maximised: a positive gradient pushes the input up
        upward = gradient.masked_fill((value < 0) & (gradient < 0), 0)
        return torch.where(blocked.reshape(-1, *(1,) * (value.ndim - 1)), upward, plain)


def check_image_shape(image_shape: Sequence[int]) -> None:
    """Refuse a shape that images cannot be optimised in."""
    sizes = tuple(image_shape) if isinstance(image_shape, Sequence) else ()
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes)
    if len(sizes) != 3 or not whole or sizes[0] not in (1, 3) or min(sizes) < 1:
        given = sizes if isinstance(image_shape, tuple) else shown(image_shape)
        raise InvalidInputError(f"image_shape must be (1 or 3, height, width), not {given}")
    if math.prod(sizes) > MAX_PIXELS:
        raise InvalidInputError(
            f"image_shape must have at most {MAX_PIXELS} values in all, not {sizes}"
        )


def checked_network(network: Network, image_shape: Sequence[int]) -> Units:
    """Refuse a shape of images, or a network that cannot read them; return its units."""
    unit_map = units_of(network)
    check_image_shape(image_shape)
    n_pixels = math.prod(image_shape)
    tried = torch.linspace(0, 1, 2 * n_pixels, device="cpu").reshape(2, *image_shape)
    check_classes(count_logits(unit_map, tried))
    check_logits(unit_map)
    return unit_map


def check_targets(unit_map: Units, targets: Sequence[Lesion]) -> None:
    """Refuse targets that are not units of one layer."""
    check_unit_sets("targets", targets)
    for index, target in enumerate(targets):
        if len(target) != 1:
            raise InvalidInputError(f"target {index} must name one layer, not {list(target)}")
        ((name, units),) = target.items()
        layer, units = unit_map.layer(name), as_array(units)
        usable = units.ndim == 1 and units.size and units.dtype.kind in "iu"
        cure = ": put it into a list" if units.ndim == 0 else ""
        cure = ": numpy.flatnonzero(mask)" if units.dtype == bool else cure
        if not usable or units.min() < 0 or units.max() >= layer.n_units:
            raise InvalidInputError(
                f"target {index}: units of layer {name!r} must be one or more from 0 to "
                f"{layer.n_units - 1}, not {shown(units.tolist())}{cure}"
            )


def targets_by_layer(targets: Sequence[Lesion]) -> dict[str, list[int]]:
    """Return which of the targets each layer has, as indices."""
    by_layer: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        (name,) = target
        by_layer.setdefault(name, []).append(index)
    return by_layer


def target_mask(n_units: int, sets_of_units: Sequence[np.ndarray]) -> np.ndarray:
    """Return 1 where a unit belongs to a set, else 0; shape (n_sets, n_units)."""
    mask = np.zeros((len(sets_of_units), n_units))
    for row, units in enumerate(sets_of_units):
        mask[row, np.asarray(units)] = 1
    return mask


@dataclass(frozen=True)
class _Objective:
    """What is maximised for sets of units of one layer: the sum of their means' magnitudes."""

    unit_map: Units
    node: fx.Node | str
    means: Callable[[torch.Tensor], torch.Tensor]
    mask: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> _Objective:
        """Return the objective of some of the images."""
        return replace(self, mask=self.mask[chosen.to(self.mask.device)])

    def __call__(self, images: torch.Tensor, redirect: bool) -> torch.Tensor:
        """Return scores, shape (n_images,)."""
        relu = _RedirectedReLU.apply if redirect else None
        (value,) = self.unit_map.run(images, stops=(self.node,), relu=relu)
        return (self.means(value).abs() * self.mask).sum(dim=1)


def _n_kept(unit_map: Units, image: torch.Tensor) -> dict[fx.Node | str, int]:
    """Return how many numbers of one image a pass up to each node keeps for its gradients."""
    if isinstance(unit_map, HookedUnits):
        return unit_map.n_kept(image)
    order = [node for node in unit_map.graph_module.graph.nodes if node.op != "output"]
    with torch.inference_mode():
        sizes = [value.numel() for value in unit_map.run(image, stops=tuple(order))]
    return dict(zip(order, itertools.accumulate(sizes), strict=True))


def _optimise(objective, decode_all, start, n_steps, learning_rate, advance):
    """Maximise each row's objective; return images and scores."""
    n_images = len(objective.mask)
    parameters = start.expand(n_images, *start.shape).clone().requires_grad_(True)
    optimizer = torch.optim.Adam(
        [parameters], lr=learning_rate, eps=ADAM_EPSILON, maximize=True, fused=True
    )
    for step in range(n_steps + 1):
        scores = objective(decode_all(parameters), redirect=step < N_REDIRECTED_STEPS)
        (parameters.grad,) = torch.autograd.grad(scores.sum(), [parameters])  # not of weights
        optimizer.step()
        advance(n_images)
    return decode_all(parameters.detach()), scores.detach()


def _entropy(unit_map: Units, images: torch.Tensor) -> torch.Tensor:
    """Return the entropy of the softmax, accurate also where it is nearly 0.

    In double precision whatever the network's: exp(-104) is 0 in single precision already.
    """
    logits = unit_map.run(images)[0].double()
    below = logits - logits.amax(dim=1, keepdim=True)
    others = below.scatter(1, logits.argmax(dim=1, keepdim=True), -torch.inf)
    log_total = torch.log1p(others.exp().sum(dim=1))
    p = (below - log_total[:, None]).exp()
    return log_total - (p * below).sum(dim=1)


def visualize(
    network: Network,
    targets: Sequence[Lesion],
    image_shape: tuple[int, int, int],
    *,
    n_steps: int = N_STEPS,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    max_images: int = MAX_IMAGES,
    max_values: int | None = None,
    small_part: int = SMALL_PART,
    progress: bool = False,
) -> Visualizations:
    """Optimise one image for each set of units.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
        Reads images (n_images, n_channels, height, width) in [0, 1].
    targets : sequence of mappings of one layer name to unit indices
        Layers may be named by tensor or by reader, which has the values of its tensor.
    image_shape : tuple of int
        (n_channels, height, width), with one or three channels.
    n_steps : int, optional
        Updates after which the score is read; the image gets one more.
    learning_rate : float, optional
        Of Adam.
    seed : int, optional
        Of the parameters that all images start from.
    max_images : int, optional
        Most images that one thread optimises at once; fewer if they are large.
    max_values : int, optional
        Bounds memory: numbers that one thread keeps for gradients, or those of one image. By
        default on a CPU about 30 MB a thread beside the results, on a GPU many.
    small_part : int, optional
        Images of a layer are split between threads into parts that keep at least so many numbers.
    progress : bool, optional

    Returns
    -------
    Visualizations

    Raises
    ------
    InvalidInputError
        If a target is not units of one layer, `image_shape` is not allowed, or the network was
        made under ``torch.inference_mode``.

    Notes
    -----
    The objective is the sum over units of the absolute value of the spatial mean of the
    pre-ReLU value; of hooked units, of the mean over space, time or tokens of what their module
    returns. Images of a layer run together, through the network up to that layer and
    without the values of a convolution that are averaged at once. Adam works element by element,
    so images do not influence each other. Which images run together does not depend on the number
    of threads; on a CPU, each part runs on one thread, several side by side, except that a few
    large images take all threads in turn.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Feature visualization"; Olah et al. (2017).
    """
    unit_map = checked_network(network, image_shape)
    n_steps, seed = check_integer("n_steps", n_steps, 1, MOST_STEPS), check_seed(seed)
    max_images = check_integer("max_images", max_images, 1)
    small_part = check_integer("small_part", small_part, 1)
    if max_values is not None:
        max_values = check_integer("max_values", max_values, 1)
    check_real("learning_rate", learning_rate)
    check_flag("progress", progress)
    check_targets(unit_map, targets)
    return visualize_traced(
        unit_map,
        targets,
        image_shape,
        n_steps=n_steps,
        learning_rate=learning_rate,
        seed=seed,
        max_images=max_images,
        max_values=max_values,
        small_part=small_part,
        progress=progress,
    )


@torch.inference_mode(False)  # gradients are needed also where the caller needs none
def visualize_traced(
    unit_map: Units,
    targets: Sequence[Lesion],
    image_shape: tuple[int, int, int],
    *,
    n_steps: int = N_STEPS,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    max_images: int = MAX_IMAGES,
    max_values: int | None = None,
    small_part: int = SMALL_PART,
    progress: bool = False,
    advance: Callable[[int], object] | None = None,
) -> Visualizations:
    """Return what :func:`visualize` does, of a network's units and checked input.

    `advance` is told of steps done, in place of a bar.
    """
    check_gradients(unit_map)
    by_layer = targets_by_layer(targets)
    start = initial_parameters(image_shape, seed=seed, dtype=unit_map.dtype).to(unit_map.device)
    decode_all = decoder(*image_shape[1:], start)
    blank = start.new_zeros(1, *image_shape)
    n_kept = _n_kept(unit_map, blank)
    if max_values is None:
        max_values = MAX_VALUES["cpu" if unit_map.device.type == "cpu" else "cuda"]

    def n_together(node: fx.Node | str) -> int:
        return max(1, min(max_images, max_values // (n_kept[node] + 4 * start.numel())))

    objectives, parts = {}, []
    for name, indices in by_layer.items():
        layer = unit_map.layer(name)
        mask = target_mask(layer.n_units, [targets[index][name] for index in indices])
        mask = torch.from_numpy(mask).to(unit_map.device, unit_map.dtype)
        node, means = spatial_means(unit_map, layer.pre_activation)
        objectives[name] = _Objective(unit_map, node, means, mask)
        wanted = min(MIN_PARTS, len(indices), len(indices) * n_kept[node] // small_part)
        n_parts = max(math.ceil(len(indices) / n_together(node)), wanted)
        every = torch.arange(len(indices), device="cpu")
        parts += [(name, rows) for rows in every.tensor_split(n_parts)]
    parts.sort(key=lambda part: n_kept[objectives[part[0]].node] * len(part[1]), reverse=True)
    n_rows = max((len(rows) for _, rows in parts), default=0)
    images = torch.zeros(len(targets), *image_shape, dtype=unit_map.dtype, device="cpu")
    scores = torch.zeros(len(targets), dtype=unit_map.dtype, device="cpu")
    entropies = torch.zeros(len(targets), dtype=torch.float64, device="cpu")
    bar = tqdm(total=len(targets) * (n_steps + 1), desc="images", unit="step", disable=not progress)

    def count(n_images: int) -> None:
        with bar.get_lock():
            (advance or bar.update)(n_images)

    @torch.enable_grad()
    def optimise_part(part: tuple[str, torch.Tensor]) -> None:
        name, rows = part
        optimised, reached = _optimise(
            objectives[name].rows(rows), decode_all, start, n_steps, learning_rate, count
        )
        chosen = torch.tensor(by_layer[name], device="cpu")[rows]
        images[chosen], scores[chosen] = optimised.cpu(), reached.cpu()
        with torch.inference_mode():
            batches = optimised.split(n_together(unit_map.output))
            entropies[chosen] = torch.cat([_entropy(unit_map, batch) for batch in batches]).cpu()

    apart = False  # hooks belong to a module, not to a thread
    if isinstance(unit_map, UnitMap) and start.device.type == "cpu":
        small = is_small(unit_map.graph_module, blank, n_rows, SMALL_PASS)
        apart = small or len(parts) >= torch.get_num_threads()
    n_images = len(targets) * (n_steps + 1)
    read = {objective.node for objective in objectives.values()}
    with bar, fast_convolutions(unit_map, blank, n_images, kept=read):
        for _ in side_by_side(optimise_part, parts) if apart else map(optimise_part, parts):
            pass
    if unit_map.dtype == torch.bfloat16:  # NumPy has no such type
        images, scores = images.float(), scores.float()
    return Visualizations(images.numpy(), scores.numpy(), entropies.numpy())
