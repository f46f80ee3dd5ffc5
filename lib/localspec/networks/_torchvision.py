"""Networks of torchvision: build them with weights of a file, or with random ones."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from localspec._utils.files import check_is_file
from localspec._utils.validation import check_option, check_seed, check_type, require
from localspec.data import DTYPES, data_root, import_torchvision
from localspec.exceptions import InvalidInputError
from localspec.networks._settings import TorchvisionSettings
from localspec.networks._training import TrainedNetwork

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels, what torchvision's expect
OPTIONS = {"inception_v3": {"init_weights": True}}  # its weights hold a second, training output


def normalization() -> nn.BatchNorm2d:
    """Return the layer that takes pixels in [0, 1] to what networks of torchvision expect."""
    layer = nn.BatchNorm2d(len(MEAN), eps=0.0, affine=False)
    layer.running_mean.copy_(torch.tensor(MEAN))
    layer.running_var.copy_(torch.tensor(STD) ** 2)
    return layer


@contextmanager
def _made_as_usual() -> Iterator[None]:
    """Make parameters on the CPU in single precision, whatever torch's defaults are."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


def weights_path(settings: TorchvisionSettings) -> Path | None:
    """Return the file that a network's weights are read from; None if they are random.

    Raises
    ------
    InvalidInputError
        If it is not there.
    """
    check_type("settings", settings, TorchvisionSettings, "with an architecture of torchvision's")
    if settings.weights is None:
        return None
    path = data_root() / "weights" / settings.weights
    try:
        check_is_file(path)
    except OSError as error:
        raise InvalidInputError(
            f"there are no weights {path}: put torchvision's state_dict of {settings.architecture} "
            "there, as a file of safetensors or as torchvision downloads it (.pth), or leave "
            f"`weights` out for random ones ({error})"
        ) from error
    return path


@cache
def _sum(path: Path, modified: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sum(settings: TorchvisionSettings) -> str:
    """Return the SHA-256 sum of a network's file of weights; empty if they are random."""
    path = weights_path(settings)
    return "" if path is None else _sum(path, path.stat().st_mtime_ns)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types where a file is damaged
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(f"cannot read the weights {path}: {reason}") from error


def open_torchvision(
    settings: TorchvisionSettings, *, seed: int = 0, dtype: str = "float32"
) -> TrainedNetwork:
    """Open a network of torchvision, with the weights of a file or with random ones.

    Parameters
    ----------
    settings : TorchvisionSettings
    seed : int, optional
        Of random weights.
    dtype : {"float32", "float64"}, optional

    Returns
    -------
    TrainedNetwork
        Reads pixels in [0, 1], shape (n_images, 3, height, width), which its first layer
        normalizes, and returns logits (n_images, 1000). Without a history.

    Raises
    ------
    InvalidInputError
        If the file of weights is missing, cannot be read, or is not of this architecture.
    """
    path = weights_path(settings)
    check_option("dtype", dtype, DTYPES)
    check_seed(seed)
    make = getattr(import_torchvision().models, settings.architecture)
    with torch.random.fork_rng(devices=[]), _made_as_usual():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed has those of all devices
        normalize = normalization()
        module = make(weights=None, **OPTIONS.get(settings.architecture, {}))
    if path is not None:
        weights = _read(path)
        try:
            module.load_state_dict(weights, strict=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InvalidInputError(
                f"the weights {path} are not those of {settings.architecture}: {reason}"
            ) from error
        finite = all(bool(each.isfinite().all()) for each in module.state_dict().values())
        require(finite, f"the weights {path} hold NaN or infinite values")
    whole = nn.Sequential(OrderedDict(normalize=normalize, net=module))
    return TrainedNetwork(whole.to(DTYPES[dtype]).eval().requires_grad_(False), {})
