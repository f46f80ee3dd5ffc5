"""Parametrisation: turn Fourier coefficients into the images of feature visualization."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from localspec._utils.hardware import limited_threads

INITIAL_SD = 0.01
# Square root of the covariance of colours in natural images, scaled to unit largest norm
# (Olah et al. 2017); columns are the decorrelated directions.
COLOUR_DIRECTIONS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
MAX_COEFFICIENTS = 128  # of one channel; up to here a matrix product beats the Fourier transform


def initial_parameters(
    image_shape: tuple[int, int, int], *, seed: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Draw the Fourier coefficients that every image of one call starts from.

    Real and imaginary parts, shape (n_channels, height, width // 2 + 1, 2), normal with standard
    deviation 0.01.
    """
    channels, height, width = image_shape
    generator = torch.Generator().manual_seed(seed)
    shape = (channels, height, width // 2 + 1, 2)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    return (drawn * INITIAL_SD).to(dtype)


def _amplitudes(height: int, width: int) -> torch.Tensor:
    rows = torch.fft.fftfreq(height, dtype=torch.float64, device="cpu")[:, None]
    columns = torch.fft.rfftfreq(width, dtype=torch.float64, device="cpu")[None, :]
    frequencies = torch.sqrt(rows**2 + columns**2)
    lowest = 1.0 / max(height, width)
    return math.sqrt(height * width) / frequencies.clamp(min=lowest) / 4


def _transform(coefficients: torch.Tensor, amplitudes: torch.Tensor, size: tuple[int, int]):
    spectrum = torch.view_as_complex(coefficients.contiguous()) * amplitudes
    return torch.fft.irfft2(spectrum, s=size)


def decoder(
    height: int, width: int, parameters: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function that turns Fourier coefficients into images with valid colours.

    It takes (n_images, n_channels, height, width // 2 + 1, 2) to (n_images, n_channels, height,
    width), in [0, 1]; of two or more images at once, each is what it is alone, but for rounding.
    `parameters` gives precision and device.

    Olah et al. (2017), "Feature visualization"; the scale is Lucid's: amplitudes fall with
    frequency, and the inverse transform is divided by four.
    """
    n_coefficients = height * (width // 2 + 1) * 2
    amplitudes = _amplitudes(height, width)
    directions = torch.tensor(COLOUR_DIRECTIONS, dtype=torch.float64, device="cpu")
    directions = (directions / torch.linalg.vector_norm(directions, dim=0).max()).to(parameters)
    matrix = None
    if n_coefficients <= MAX_COEFFICIENTS:
        single = torch.eye(n_coefficients, dtype=torch.float64, device="cpu")
        single = single.reshape(n_coefficients, height, width // 2 + 1, 2)
        with limited_threads(1):  # several threads round otherwise
            images = _transform(single, amplitudes, (height, width))
        matrix = images.flatten(1).to(parameters)
    # there is no Fourier transform in less than single precision
    wide = torch.promote_types(parameters.dtype, torch.float32)
    amplitudes = amplitudes.to(parameters.device, wide)

    def decode_all(coefficients: torch.Tensor) -> torch.Tensor:
        if matrix is not None:
            image = (coefficients.flatten(2) @ matrix).unflatten(2, (height, width))
        else:
            image = _transform(coefficients.to(wide), amplitudes, (height, width))
            image = image.to(coefficients.dtype)
        if image.shape[1] == 3:
            image = torch.einsum("nchw,dc->ndhw", image, directions)
        return torch.sigmoid(image)

    return decode_all
