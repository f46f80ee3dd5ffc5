"""Hardware: devices and the number of threads."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from joblib import Parallel, delayed
from threadpoolctl import ThreadpoolController
from torch import nn

from localspec._utils.validation import check_option
from localspec.exceptions import InvalidInputError

Item = TypeVar("Item")
Result = TypeVar("Result")

# multiplications below which a second thread costs more time than it saves
SMALL_STEP = 1e7  # in one training step: forward pass of one batch
SMALL_PASS = 1e9  # in one pass of stacked lesions or images
# torch's convolutions in float64 work image by image, so that threads gain less
FLOAT64_CONVOLUTION = 10
# options of glibc's malloc, by the numbers that its header gives them
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 2**25  # glibc's own limit


def is_small(module: nn.Module, image: torch.Tensor, n_images: int, limit: float) -> bool:
    """Return whether a forward pass of so many images is too little work for two threads.

    The module is in evaluation mode, and the image one of them, shape (1, ...); `limit` is
    ``SMALL_STEP`` or ``SMALL_PASS``.
    """
    layers = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    counted = []

    def count(layer: nn.Module, _, output: torch.Tensor) -> None:
        counted.append(output.numel() * layer.weight[0].numel())

    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.inference_mode():
            module(image.clone())  # which the network may write over
    finally:
        for handle in handles:
            handle.remove()
    double = image.dtype == torch.float64 and any(isinstance(layer, nn.Conv2d) for layer in layers)
    return n_images * sum(counted) < limit * (FLOAT64_CONVOLUTION if double else 1)


def keep_freed_memory() -> None:
    """Let this process keep blocks of up to 32 MB that it frees, where its C library is glibc.

    By default glibc returns them to the system, and each step of a training asks for the same
    memory again; ``benchmarks/training.py`` measures what that takes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other libraries have none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@cache
def _thread_pools() -> ThreadpoolController:
    """Return the pools of threads of BLAS and OpenMP, which take 5 ms to be found."""
    return ThreadpoolController()


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
        with _thread_pools().limit(limits=n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], n_threads: int | None = None
) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order, several running at a time on one thread each.

    Steps too small for two threads together still keep two threads busy apart. `work` spends its
    time in torch or numpy, which run side by side in Python's threads; modes that torch keeps by
    thread (``torch.inference_mode``) must be entered inside. What it raises first is raised, and
    items that have not begun are left out. `n_threads` are by default as many as torch uses now.
    """
    n_jobs = max(1, min(n_threads or torch.get_num_threads(), len(items)))
    with limited_threads(1):  # new threads of torch begin with this number
        yield from Parallel(n_jobs, prefer="threads", return_as="generator")(
            delayed(work)(item) for item in items
        )


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``"auto"`` is CUDA where there is one, else the CPU."""
    check_option("device", name, ("auto", "cpu", "cuda"))
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InvalidInputError("device 'cuda' is not there: use 'cpu' or 'auto'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def check_autocast(device: torch.device) -> None:
    """Refuse to compute where ``torch.autocast`` would take another precision than the weights."""
    if torch.is_autocast_enabled(device.type):
        raise InvalidInputError(
            f"torch.autocast is on for {device.type}, and would compute in another precision than "
            "that of weights and images: leave its block first"
        )


def machine() -> str:
    """Return the processor's name and number of cores."""
    model = platform.processor() or platform.machine()
    path = Path("/proc/cpuinfo")
    if path.exists():
        names = [line for line in path.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {os.cpu_count()} cores"
