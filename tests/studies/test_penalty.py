"""Penalties: by hand, by finite differences, beside a plain implementation, and the page."""

import itertools

import numpy as np
import pytest
import torch

from localspec.exceptions import InvalidInputError
from localspec.studies.penalty import (
    block_penalty,
    eigenvalue_penalty,
    eigenvalue_sum,
    inside_masks,
    leading_vectors,
    share_between,
)

SIZES = (9, 7, 6, 5, 4)


def random_kernels(seed, sizes=SIZES):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(after, before, generator=generator, dtype=torch.float64).requires_grad_(True)
        for before, after in itertools.pairwise(sizes)
    ]


def laplacian(kernels):
    """The whole normalized Laplacian, entry by entry."""
    sizes = [kernels[0].shape[1], *(len(kernel) for kernel in kernels)]
    starts = np.cumsum([0, *sizes])
    adjacency = torch.zeros(starts[-1], starts[-1], dtype=torch.float64)
    for layer, kernel in enumerate(kernels):
        rows = slice(starts[layer], starts[layer + 1])
        columns = slice(starts[layer + 1], starts[layer + 2])
        adjacency[rows, columns] = kernel.abs().T
        adjacency[columns, rows] = kernel.abs()
    scale = torch.diag(adjacency.sum(dim=1).rsqrt())
    return torch.eye(starts[-1], dtype=torch.float64) - scale @ adjacency @ scale


def test_eigenvalues_of_a_square_by_hand():
    # two pixels, two units: degrees are 4, and B = [[3, 1], [1, 3]] / 4 has singular values 1, 1/2
    kernel = torch.tensor([[3.0, 1.0], [-1.0, 3.0]], dtype=torch.float64)
    vectors = leading_vectors([kernel], 2)
    assert float(eigenvalue_sum([kernel], vectors)) == pytest.approx(0.5)
    # the second vector is (1, -1) on both sides, of length 1 on each
    for side in vectors:
        assert side.abs().flatten().tolist() == pytest.approx([0.5**0.5] * 2)
        assert float(side.sum()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sizes", [SIZES, (4, 6, 5), (3, 8)])
@pytest.mark.parametrize("n_clusters", [2, 3])
def test_sum_and_gradient_are_those_of_a_plain_eigenvalue_routine(sizes, n_clusters):
    kernels = random_kernels(1, sizes)
    value = eigenvalue_sum(kernels, leading_vectors(kernels, n_clusters))
    plain = torch.linalg.eigvalsh(laplacian(kernels))[1:n_clusters].sum()
    assert float(value) == pytest.approx(float(plain))
    own, other = torch.autograd.grad(value, kernels), torch.autograd.grad(plain, kernels)
    for gradient, expected in zip(own, other, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-10)


def test_gradient_is_that_of_finite_differences():
    kernels, step = random_kernels(2), 1e-6
    gradients = torch.autograd.grad(eigenvalue_sum(kernels, leading_vectors(kernels, 4)), kernels)
    for kernel, gradient in zip(kernels, gradients, strict=True):
        for place in [(0, 0), (1, 2), (3, 1)]:
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    kernel[place] += sign * step
                    values.append(float(torch.linalg.eigvalsh(laplacian(kernels))[1:4].sum()))
                    kernel[place] -= sign * step
            expected = (values[0] - values[1]) / (2 * step)
            assert float(gradient[place]) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_vectors_are_held_between_refreshes():
    kernels, others = random_kernels(3), random_kernels(4)
    penalty = eigenvalue_penalty(3, 2)
    first, exact = penalty(kernels, 0), torch.linalg.eigvalsh(laplacian(others))[1:3].sum()
    held = penalty(others, 1)
    assert float(first) == pytest.approx(
        float(torch.linalg.eigvalsh(laplacian(kernels))[1:3].sum())
    )
    assert float(held) == pytest.approx(float(eigenvalue_sum(others, leading_vectors(kernels, 3))))
    assert float(held) > float(exact)
    assert float(penalty(others, 2)) == pytest.approx(float(exact))


def test_a_unit_without_edges_changes_nothing():
    kernels = random_kernels(5)
    value = eigenvalue_sum(kernels, leading_vectors(kernels, 3))
    with torch.no_grad():
        wider = [torch.cat([kernels[0], torch.zeros(len(kernels[0]), 1)], dim=1), *kernels[1:]]
    wider[0].requires_grad_(True)
    other = eigenvalue_sum(wider, leading_vectors(wider, 3))
    assert float(other) == pytest.approx(float(value))
    assert torch.autograd.grad(other, wider)[0].isfinite().all()


@pytest.mark.parametrize("n_clusters", [1, 5])
def test_too_many_or_too_few_eigenvalues_are_refused(n_clusters):
    with pytest.raises(InvalidInputError, match="must be from 2 to 4"):
        leading_vectors(random_kernels(1, (6, 4)), n_clusters)


def test_share_between_blocks_by_hand_and_by_loops():
    # squares 1, 4 and 25, 9: within blocks are 1 (units 0, 0) and 9 (1, 1); unit -1 is in none
    kernel = torch.tensor([[1.0, 2.0, 5.0], [0.0, 3.0, 0.0]])
    masks = inside_masks([np.array([0, 1, -1]), np.array([0, 1])])
    assert float(share_between([kernel], masks)) == pytest.approx(1 - 10 / 39)

    kernels, rng = random_kernels(6), np.random.default_rng(6)
    blocks = [rng.integers(-1, 3, size) for size in SIZES]
    inside = total = 0.0
    for layer, kernel in enumerate(kernels):
        for after, row in enumerate(kernel.tolist()):
            for before, weight in enumerate(row):
                total += weight**2
                block = blocks[layer][before]
                inside += weight**2 * (block >= 0 and block == blocks[layer + 1][after])
    assert float(block_penalty(blocks)(kernels, 7)) == pytest.approx(1 - inside / total)
