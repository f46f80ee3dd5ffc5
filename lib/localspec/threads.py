"""Thread limits for work so small that threads cost more than they give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from threadpoolctl import threadpool_limits
from torch import nn

# multiplications below which a second thread costs more time than it saves
SMALL_STEP = 1e7  # in one training step: forward pass of one batch
SMALL_PASS = 1e9  # in one pass of stacked lesions or images
# torch's convolutions in float64 work image by image, so that threads gain less
FLOAT64_CONVOLUTION = 10


def is_small(module: nn.Module, image: torch.Tensor, n_images: int, limit: float) -> bool:
    """Return whether a forward pass of so many images is too little work for two threads.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    image : torch.Tensor, shape (1, ...)
    n_images : int
    limit : float
        Multiplications: ``SMALL_STEP`` or ``SMALL_PASS``.
    """
    layers = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    counted = []

    def count(layer: nn.Module, _, output: torch.Tensor) -> None:
        counted.append(output.numel() * layer.weight[0].numel())

    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.inference_mode():
            module(image)
    finally:
        for handle in handles:
            handle.remove()
    double = image.dtype == torch.float64 and any(isinstance(one, nn.Conv2d) for one in layers)
    return n_images * sum(counted) < limit * (FLOAT64_CONVOLUTION if double else 1)


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[None]:
    """Run torch, BLAS and OpenMP on so many threads inside the block; None leaves them as they are.

    Small matrices and k-means run many times slower with several threads, above all where other
    processes want the cores too.
    """
    if n_threads is None:
        yield
        return
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def single_threaded(active: bool = True) -> AbstractContextManager[None]:
    """Run on one thread inside the block, if `active`; see :func:`limited_threads`."""
    return limited_threads(1 if active else None)
