"""Work side by side: order, threads of each, what fails."""

import threading

import pytest
import torch
from helpers.processes import python

from localspec._utils.hardware import limited_threads, side_by_side


@pytest.mark.parametrize("n_items", [0, 1, 2, 7])
@pytest.mark.parametrize("n_threads", [None, 1, 3])
def test_results_come_in_order(n_items, n_threads):
    squares = list(side_by_side(lambda item: item**2, range(n_items), n_threads))
    assert squares == [item**2 for item in range(n_items)]


def test_items_run_at_the_same_time_on_one_thread_of_torch_each():
    both = threading.Barrier(2, timeout=60)  # breaks unless two items meet there

    def work(_) -> tuple[int, int]:
        both.wait()
        return torch.get_num_threads(), threading.get_ident()

    with limited_threads(2):
        results = list(side_by_side(work, range(2)))
        assert torch.get_num_threads() == 2  # as before
    assert [n_threads for n_threads, _ in results] == [1, 1]
    assert len({identity for _, identity in results}) == 2


def test_what_fails_is_raised_and_what_has_not_begun_is_left_out():
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item"):
        list(side_by_side(work, range(1000), 2))
    assert len(begun) < 1000


FAULTS = """
import ctypes, resource, torch
from localspec._utils.hardware import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def steps():
    before = faults()
    for _ in range(50):
        torch.ones(2**21)  # 8 MB
    return faults() - before

returned = steps()
keep_freed_memory()
steps()
print(hasattr(ctypes.CDLL(None), "mallopt"), returned, steps())
"""


def test_freed_memory_is_kept():
    glibc, returned, kept = python("-c", FAULTS, check=True).stdout.split()
    if glibc == "False":
        pytest.skip("the C library is not glibc: it has no such option")
    assert int(kept) < 100 < int(returned)  # pages that the system had to give anew
