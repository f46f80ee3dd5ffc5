"""Thread limits for work so small that threads cost more than they give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

# multiplications below which a second thread costs more time than it saves
SMALL_STEP = 1e7  # in one training step: forward pass of one batch
SMALL_PASS = 1e9  # in one pass of stacked lesions or images


@contextmanager
def single_threaded(active: bool = True) -> Iterator[None]:
    """Run torch, BLAS and OpenMP on one thread inside the block, if `active`.

    Small matrices and k-means run many times slower with several threads, above all where other
    processes want the cores too.
    """
    if not active:
        yield
        return
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
