"""Feature visualization: images that excite sets of units, optimised many at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx
from tqdm.auto import tqdm

from localspec.compatibility import count_logits
from localspec.errors import InvalidInputError, require, whole
from localspec.subclusters import Draws, Lesion
from localspec.threads import SMALL_PASS, is_small, single_threaded
from localspec.units import UnitMap, trace_units

STAGE_VERSION = 1
N_STEPS = 64
LEARNING_RATE = 0.05
ADAM_EPSILON = 1e-8
INITIAL_SD = 0.01
N_REDIRECTED_STEPS = 17
MAX_IMAGES = 2048
# Square root of the covariance of colours in natural images, scaled to unit largest norm
# (Olah et al. 2017); columns are the decorrelated directions.
COLOUR_DIRECTIONS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


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
        Entropy in nats of the network's softmax on `images`.
    """

    images: np.ndarray
    scores: np.ndarray
    entropies: np.ndarray

    def arranged(self, draws: Draws) -> Visualizations:
        """Return the arrays as (n_draws + 1, n_subclusters, ...), row 0 true."""
        return Visualizations(
            *(draws.arrange(part) for part in (self.images, self.scores, self.entropies))
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
        plain = torch.where(value < 0, 0, gradient)
        # the objective is maximised: a positive gradient pushes the input up
        upward = torch.where((value < 0) & (gradient < 0), 0, gradient)
        blocked = (plain == 0).flatten(1).all(dim=1)
        return torch.where(blocked.reshape(-1, *(1,) * (value.ndim - 1)), upward, plain)


def _frequencies(height: int, width: int) -> torch.Tensor:
    rows = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    columns = torch.fft.rfftfreq(width, dtype=torch.float64)[None, :]
    return torch.sqrt(rows**2 + columns**2)


def initial_parameters(
    image_shape: tuple[int, int, int], *, seed: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Draw the Fourier coefficients that every image of one call starts from.

    Parameters
    ----------
    image_shape : tuple of int
        (n_channels, height, width).
    seed : int
    dtype : torch.dtype

    Returns
    -------
    torch.Tensor, shape (n_channels, height, width // 2 + 1, 2)
        Real and imaginary parts, normal with standard deviation 0.01.
    """
    channels, height, width = image_shape
    generator = torch.Generator().manual_seed(seed)
    shape = (channels, height, width // 2 + 1, 2)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * INITIAL_SD).to(dtype)


def decode(parameters: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Turn Fourier coefficients into images with valid colours.

    Parameters
    ----------
    parameters : torch.Tensor, shape (n_images, n_channels, height, width // 2 + 1, 2)
    height, width : int

    Returns
    -------
    torch.Tensor, shape (n_images, n_channels, height, width)
        In [0, 1].

    References
    ----------
    Olah et al. (2017), "Feature visualization"; the scale is Lucid's: amplitudes fall with
    frequency, and the inverse transform is divided by four.
    """
    frequencies = _frequencies(height, width).to(parameters)
    lowest = 1.0 / max(height, width)
    scale = math.sqrt(height * width) / frequencies.clamp(min=lowest)
    spectrum = torch.view_as_complex(parameters.contiguous()) * scale
    image = torch.fft.irfft2(spectrum, s=(height, width)) / 4
    if image.shape[1] == 3:
        directions = torch.tensor(COLOUR_DIRECTIONS, dtype=torch.float64).to(image)
        directions = directions / torch.linalg.vector_norm(directions, dim=0).max()
        image = torch.einsum("nchw,dc->ndhw", image, directions)
    return torch.sigmoid(image)


def check_image_shape(unit_map: UnitMap, image_shape: Sequence[int]) -> None:
    """Refuse a shape that images cannot be optimised in, or that the network cannot read."""
    if len(image_shape) != 3 or image_shape[0] not in (1, 3) or min(image_shape) < 1:
        raise InvalidInputError(
            f"image_shape must be (1 or 3, height, width), not {tuple(image_shape)}"
        )
    count_logits(unit_map, torch.zeros(1, *image_shape))


def _target_mask(unit_map: UnitMap, name: str, targets: Sequence[Lesion]) -> torch.Tensor:
    layer = unit_map.layer(name)
    mask = torch.zeros(len(targets), layer.n_units, dtype=unit_map.dtype)
    for row, target in enumerate(targets):
        units = np.asarray(target[name])
        whole_numbers = units.size and units.dtype.kind in "iu"
        if not whole_numbers or units.min() < 0 or units.max() >= layer.n_units:
            raise InvalidInputError(
                f"target {row}: units of layer {name!r} must be one or more from 0 to "
                f"{layer.n_units - 1}, not {units.tolist()}"
            )
        mask[row, torch.from_numpy(units.astype(np.int64))] = 1
    return mask.to(unit_map.device)


def _objective(unit_map: UnitMap, node: fx.Node, images, mask, redirect: bool) -> torch.Tensor:
    relu = _RedirectedReLU.apply if redirect else None
    (value,) = unit_map.run(images, stops=(node,), relu=relu)
    if value.ndim == 4:
        value = value.mean(dim=(2, 3))
    return (value.abs() * mask).sum(dim=1)


def _optimise(unit_map, layer, mask, start, size, n_steps, learning_rate, bar):
    """Maximise each row's objective; return images and scores."""
    height, width = size
    parameters = start.expand(len(mask), *start.shape).clone().requires_grad_(True)
    optimizer = torch.optim.Adam(
        [parameters], lr=learning_rate, eps=ADAM_EPSILON, maximize=True, foreach=False
    )
    for step in range(n_steps + 1):
        images = decode(parameters, height, width)
        redirect = step < N_REDIRECTED_STEPS
        scores = _objective(unit_map, layer.pre_activation, images, mask, redirect)
        (parameters.grad,) = torch.autograd.grad(scores.sum(), [parameters])  # not of weights
        optimizer.step()
        bar.update(len(mask))
    return decode(parameters.detach(), height, width), scores.detach()


def _entropy(unit_map: UnitMap, images: torch.Tensor) -> torch.Tensor:
    """Return the entropy of the softmax, accurate also where it is nearly 0."""
    (logits,) = unit_map.run(images)
    below = logits - logits.amax(dim=1, keepdim=True)
    others = below.scatter(1, logits.argmax(dim=1, keepdim=True), -torch.inf)
    log_total = torch.log1p(others.exp().sum(dim=1))
    p = (below - log_total[:, None]).exp()
    return log_total - (p * below).sum(dim=1)


def visualize(
    network,
    targets: Sequence[Lesion],
    image_shape: tuple[int, int, int],
    *,
    n_steps: int = N_STEPS,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    max_images: int = MAX_IMAGES,
    progress: bool = False,
) -> Visualizations:
    """Optimise one image for each set of units.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
        Reads images (n_images, *image_shape) in [0, 1].
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
        Bounds memory: images optimised at once.
    progress : bool, optional

    Returns
    -------
    Visualizations

    Raises
    ------
    InvalidInputError
        If a target is not units of one layer, or `image_shape` is not allowed.

    Notes
    -----
    The objective is the sum over units of the absolute value of the spatial mean of the
    pre-ReLU value. All images of a layer run together, through the network up to that layer.
    Adam works element by element, so images do not influence each other.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Feature visualization"; Olah et al. (2017).
    """
    unit_map = trace_units(network)
    check_image_shape(unit_map, image_shape)
    whole("n_steps", n_steps, 1)
    whole("max_images", max_images, 1)
    whole("seed", seed, 0)
    require(learning_rate > 0, f"learning_rate must be positive, not {learning_rate}")
    by_layer: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        if len(target) != 1:
            raise InvalidInputError(f"target {index} must name one layer, not {list(target)}")
        by_layer.setdefault(next(iter(target)), []).append(index)
    masks = {
        name: _target_mask(unit_map, name, [targets[index] for index in indices])
        for name, indices in by_layer.items()
    }
    start = initial_parameters(image_shape, seed=seed, dtype=unit_map.dtype).to(unit_map.device)
    images = torch.zeros(len(targets), *image_shape, dtype=unit_map.dtype)
    scores = torch.zeros(len(targets), dtype=unit_map.dtype)
    entropies = torch.zeros(len(targets), dtype=unit_map.dtype)
    bar = tqdm(total=len(targets) * (n_steps + 1), desc="images", unit="step", disable=not progress)
    n_rows = min(len(targets), max_images)
    small = is_small(unit_map.graph_module, start.new_zeros(1, *image_shape), n_rows, SMALL_PASS)
    with bar, single_threaded(small):
        for name, indices in by_layer.items():
            layer = unit_map.layer(name)
            for rows in torch.arange(len(indices)).split(max_images):
                found, reached = _optimise(
                    *(unit_map, layer, masks[name][rows.to(unit_map.device)], start),
                    *(image_shape[1:], n_steps, learning_rate, bar),
                )
                chosen = torch.tensor(indices)[rows]
                images[chosen] = found.cpu()
                scores[chosen] = reached.cpu()
                with torch.inference_mode():
                    entropies[chosen] = _entropy(unit_map, found).cpu()
    return Visualizations(images.numpy(), scores.numpy(), entropies.numpy())
