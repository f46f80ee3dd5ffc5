"""Data of a screening: read images and labels once, from tensors, data sets or loaders."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    default_collate,
)
from torch.utils.data import Dataset as TorchDataset

from localspec._utils.validation import require, shown
from localspec.data import Dataset, check_class_labels, check_images
from localspec.exceptions import InvalidInputError
from localspec.screening._bar import Bar
from localspec.screening._standardized import Preprocess

BATCH_SIZE = 64  # images decoded together
SLACK = 1e-3  # by which images may leave [0, 1] where a standardization is taken back


@dataclass(frozen=True, eq=False)
class Images:
    """Images in [0, 1], in memory or in a file that is mapped into it, with labels."""

    x: torch.Tensor  # shape (n_images, n_channels, height, width)
    y: torch.Tensor
    class_names: tuple[str, ...]  # empty where the data have none


class _Transformed(TorchDataset):
    """A data set whose images pass a transform."""

    def __init__(self, dataset: TorchDataset, transform: Callable) -> None:
        self.dataset, self.transform = dataset, transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple:
        image, *rest = self.dataset[index]
        return self.transform(image), *rest


def is_dataset(data: object) -> bool:
    """Return whether something gives images by index, as a data set of torch."""
    if isinstance(data, TorchDataset):
        return True
    other = (tuple, list, str, Mapping, torch.Tensor, np.ndarray)
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, other)


def allocated(shape: Sequence[int], dtype: torch.dtype, max_bytes: int, folder: Path | None):
    """Return a tensor of zeros: in memory if it fits, else in a file that ends with the process.

    The file lies in `folder`; None stands for the system's folder for temporary files.
    """
    n_bytes = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
    if n_bytes <= max_bytes:
        return torch.zeros(shape, dtype=dtype, device="cpu")
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(n_bytes)
        # the memory map keeps the file, which has no name any more
        mapped = np.memmap(file, np.uint8, "r+", shape=(n_bytes,))
    return torch.from_numpy(mapped).view(dtype).view(*shape)


def taken(x: torch.Tensor, rows: np.ndarray, max_bytes: int, folder: Path | None) -> torch.Tensor:
    """Return some of the images; all of them as they are."""
    if len(rows) == len(x):
        return x
    chosen = allocated((len(rows), *x.shape[1:]), x.dtype, max_bytes, folder)
    for begin in range(0, len(rows), BATCH_SIZE):
        part = torch.from_numpy(rows[begin : begin + BATCH_SIZE])
        chosen[begin : begin + len(part)] = x[part.to(x.device)].detach().to(chosen.device)
    return chosen


def _class_names(dataset: object) -> tuple[str, ...]:
    while isinstance(dataset, Subset | _Transformed):
        dataset = dataset.dataset
    if isinstance(dataset, ConcatDataset):
        names_of_parts = {_class_names(part) for part in dataset.datasets}
        return names_of_parts.pop() if len(names_of_parts) == 1 else ()
    names = getattr(dataset, "classes", None)
    fits = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return tuple(names) if fits else ()


@contextmanager
def drawing_by(seed: int) -> Iterator[None]:
    """Let samplers of loaders draw by a seed, and leave torch's random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # of the CPU alone
        yield


def loader_indices(loader: DataLoader, name: str) -> list[int]:
    """Return the indices of a loader's images, in the data set's order, whatever shuffles."""
    batches = loader.batch_sampler
    if batches is None:
        raise InvalidInputError(
            f"{name} is a DataLoader with batch_size=None, which makes no batches: give it a "
            "batch_size, or pass its data set"
        )
    generators = [loader.generator, getattr(loader.sampler, "generator", None)]
    states = [(part, part.get_state()) for part in generators if part is not None]
    try:
        if type(batches) is BatchSampler:  # the last batch counts even where the loader drops it
            return sorted(set(batches.sampler))
        return sorted({index for batch in batches for index in batch})
    finally:
        for generator, state in states:
            generator.set_state(state)


def _source(data: DataLoader | TorchDataset, name: str, preprocess: Preprocess | None):
    """Return a data set, the indices of its images, and the options of the loader that reads it."""
    options: dict[str, Any] = {"batch_size": BATCH_SIZE}
    dataset, indices = data, None
    if isinstance(data, DataLoader):
        dataset = data.dataset
        if not isinstance(dataset, IterableDataset):
            indices = loader_indices(data, name)
        options = {
            "batch_size": data.batch_size or BATCH_SIZE,  # none where a sampler makes batches
            "collate_fn": data.collate_fn,
            "num_workers": data.num_workers,
            "worker_init_fn": data.worker_init_fn,
        }
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise InvalidInputError(
            f"{name} is a data set of unknown length ({type(dataset).__name__}): pass one with a "
            "length, or images and labels as tensors, (x, y)"
        )
    indices = list(range(len(dataset))) if indices is None else indices
    require(len(indices) > 0, f"{name} holds no image")
    first, again = (_item(dataset, indices[0], name) for _ in range(2))
    collates = options.get("collate_fn", default_collate) is not default_collate
    is_pair = isinstance(first, tuple | list) and len(first) > 1
    if not is_pair and not collates:  # which may make images and labels of anything
        raise InvalidInputError(
            f"{name} must give pairs of an image and a label, not {type(first).__name__}: pass a "
            "DataLoader whose collate_fn returns images and labels of what it gives"
        )
    image = first[0] if is_pair else None
    if isinstance(image, Image):
        if preprocess is not None and preprocess.transform is not None:
            dataset = _Transformed(dataset, preprocess.transform)
        elif not collates:
            raise InvalidInputError(
                f"{name} gives images of PIL: let its transform end in "
                "torchvision.transforms.ToTensor(), or pass the transform of the network's "
                "weights as preprocess"
            )
    elif isinstance(image, torch.Tensor) and not torch.equal(image, again[0]):
        raise InvalidInputError(
            f"{name} gives another image each time it is asked for the same one: pass images "
            "without random augmentation"
        )
    return dataset, indices, options


def _item(dataset: TorchDataset, index: int, name: str) -> Any:
    """Return one item of a data set."""
    try:
        return dataset[index]
    except Exception as error:  # of the user's own code
        raise InvalidInputError(
            f"{name} cannot give image {index} ({type(error).__name__}: {error}): mend it, or "
            "leave it out, as by torch.utils.data.Subset"
        ) from error


def _batches(
    dataset: TorchDataset, indices: Sequence[int], options: dict, name: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    n_read = 0
    try:
        for batch in DataLoader(Subset(dataset, indices), **options):
            yield batch
            n_read += options["batch_size"]
    except InvalidInputError:
        raise
    except Exception as error:  # of the user's own code
        _check_items(dataset, indices[n_read : n_read + options["batch_size"]], name)
        reason = str(error).strip().splitlines() or [""]
        begin = indices[min(n_read, len(indices) - 1)]
        raise InvalidInputError(
            f"{name} cannot be read, at image {begin} or soon after it "
            f"({type(error).__name__}: {reason[-1]}): a batch could not be made of its items"
        ) from error


def _check_items(dataset: TorchDataset, indices: Sequence[int], name: str) -> None:
    """Refuse the first item of a batch that cannot be read, or whose image has another shape."""
    shapes: dict[tuple[int, ...], int] = {}
    for index in indices:
        item = _item(dataset, index, name)
        image = item[0] if isinstance(item, tuple | list) and item else None
        if isinstance(image, torch.Tensor | np.ndarray):
            shapes.setdefault(tuple(image.shape), index)
        if len(shapes) > 1:
            (one, first), (other, second) = shapes.items()
            raise InvalidInputError(
                f"{name} must give images of one shape, and image {first} has {one}, image "
                f"{second} has {other}: use transforms such as torchvision's Resize((64, 64)), "
                "CenterCrop and ToTensor"
            )


def _pair(batch: object, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and labels of a batch."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise InvalidInputError(
            f"{name} must give batches of images and labels, not {type(batch).__name__}: let its "
            "collate_fn return both"
        )
    x = batch[0]
    if not isinstance(x, torch.Tensor) or x.ndim != 4:
        shape = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise InvalidInputError(
            f"{name} must give batches of images (n_images, n_channels, height, width), not {shape}"
        )
    return x, _labels(batch[1], name)


def _labels(y: object, name: str) -> torch.Tensor:
    """Return the labels of a batch as a tensor."""
    try:
        return torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            f"{name} must give labels as the classes' numbers, from 0, not as {shown(y)}"
        ) from error


def read_images(
    data: object,
    name: str,
    *,
    preprocess: Preprocess | None = None,
    n_chosen: int | None = None,
    seed: int = 0,
    max_bytes: int,
    folder: Path | None = None,
    bar: Bar | None = None,
    check: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
) -> Images:
    """Read images and labels of a pair of tensors, data set or loader, once.

    Of a loader its data set is read in order, shuffled or not; of a :class:`localspec.data.Dataset`
    the test images. Messages call the data by `name`. Images that were standardized by the numbers
    of `preprocess` are taken back into [0, 1]; images of PIL pass its transform first.

    So many images as `n_chosen` are chosen at random, by the seed, in their order; by default all.
    More than `max_bytes` of them lie in a file of `folder`. `check` takes images and labels as they
    are read, those of the first batch first, and refuses what does not fit before others are read.
    """
    class_names: tuple[str, ...] = ()
    if isinstance(data, Dataset):
        data, class_names = (data.x_test, data.y_test), tuple(data.class_names)
    if isinstance(data, torch.Tensor | np.ndarray):
        raise InvalidInputError(
            f"{name} must be (images, labels), a data set or a DataLoader, not a "
            f"{type(data).__name__} alone: pass (x, y)"
        )
    if isinstance(data, tuple | list):
        require(
            len(data) == 2,
            f"{name} must be a pair of images and labels, (x, y), not {len(data)} parts",
        )
        x, y = data
        check_images(x)
        check_class_labels(y, len(x))
        x = taken(x, _chosen(len(x), n_chosen, seed), max_bytes, folder)
        x = _in_range(x, preprocess, own=False)
        if check is not None:
            check(x, y)
        return Images(x, y, class_names)
    if not isinstance(data, DataLoader) and not is_dataset(data):
        raise InvalidInputError(
            f"{name} must be (images, labels), a data set or a DataLoader, not "
            f"{type(data).__name__}"
        )
    dataset, indices, options = _source(data, name, preprocess)
    rows = _chosen(len(indices), n_chosen, seed)
    indices = [indices[row] for row in rows]
    x, labels, begin = None, [], 0
    if bar is not None:
        bar.expect(len(indices))
    for batch in _batches(dataset, indices, options, name):
        images, y = _pair(batch, name)
        check_images(images, y, name=name)
        if x is None:
            x = allocated((len(indices), *images.shape[1:]), images.dtype, max_bytes, folder)
        require(
            images.shape[1:] == x.shape[1:],
            f"{name} must give images of one shape, not {tuple(x.shape[1:])} and "
            f"{tuple(images.shape[1:])}",
        )
        require(
            begin + len(images) <= len(x),
            f"{name} gives more images in a batch than it was asked for: let its collate_fn return "
            "one image an item",
        )
        if check is not None:
            check(_in_range(images.detach().clone(), preprocess, own=True), y)
        x[begin : begin + len(images)] = images
        labels.append(y)
        begin += len(images)
        if bar is not None:
            bar.advance(len(images))
    return Images(
        _in_range(x[:begin], preprocess, own=True), torch.cat(labels), _class_names(dataset)
    )


def read_source(data: object, name: str, **options: Any) -> torch.Tensor:
    """Return the images alone of what :func:`read_images` reads, or of a tensor of images."""
    data = without_labels(data)
    if isinstance(data, DataLoader) or is_dataset(data):
        return read_images(data, name, **options).x
    check_images(data, name=name)
    rows = _chosen(len(data), options["n_chosen"], options["seed"])
    x = taken(data, rows, options["max_bytes"], options.get("folder"))
    return _in_range(x, options.get("preprocess"), own=False)


def without_labels(data: object) -> object:
    """Return the training images of a Dataset, the images of a pair, and all else as it is."""
    if isinstance(data, Dataset):
        return data.x_train
    return data[0] if isinstance(data, tuple | list) and len(data) == 2 else data


def _chosen(n_images: int, n_chosen: int | None, seed: int) -> np.ndarray:
    """Return the indices of random images, ascending."""
    if n_chosen is None:
        return np.arange(n_images)
    return np.sort(np.random.default_rng(seed).permutation(n_images)[:n_chosen])


def _in_range(x: torch.Tensor, preprocess: Preprocess | None, *, own: bool) -> torch.Tensor:
    """Take back the standardization of images that were standardized; `own`: may be changed."""
    if preprocess is None:
        return x
    low, high = (float(value) for value in x.detach().aminmax())
    if low >= 0 and high <= 1:
        return x
    mean, std = preprocess.tensors(x)
    x = x if own else x.detach().clone()
    for part in x.split(BATCH_SIZE):
        part.mul_(std).add_(mean)
    low, high = (float(value) for value in x.aminmax())
    require(
        low >= -SLACK and high <= 1 + SLACK,
        f"images that preprocess takes back lie from {low:.3g} to {high:.3g}, not in [0, 1]: they "
        "were standardized by other numbers, or, if not at all, have to be divided by 255",
    )
    for part in x.split(BATCH_SIZE):
        part.clamp_(0, 1)
    return x
