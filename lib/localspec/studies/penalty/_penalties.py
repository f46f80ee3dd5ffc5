"""Penalties on networks that do not fall into clusters, as functions of their kernels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import linalg

from localspec._utils.validation import require

Penalty = Callable[[Sequence[torch.Tensor], int], torch.Tensor]


def _normalized_blocks(kernels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the blocks of D^-1/2 A D^-1/2 between consecutive layers, the earlier in rows."""
    edges = [kernel.abs().T for kernel in kernels]
    hidden = [before.sum(dim=0) + after.sum(dim=1) for before, after in itertools.pairwise(edges)]
    degrees = [edges[0].sum(dim=1), *hidden, edges[-1].sum(dim=0)]
    # a unit without edges has rows of zeros, whatever they are divided by
    scales = [torch.where(degree > 0, degree, 1).rsqrt() for degree in degrees]
    return [
        before[:, None] * edge * after
        for before, edge, after in zip(scales, edges, scales[1:], strict=False)
    ]


def leading_vectors(kernels: Sequence[torch.Tensor], n_clusters: int) -> list[torch.Tensor]:
    """Return the eigenvectors of the 2nd to k-th smallest eigenvalues of the normalized Laplacian.

    Parameters
    ----------
    kernels : sequence of torch.Tensor, shape (n_out, n_in)
        Of a chain of dense layers; the graph has their absolute values as edges.
    n_clusters : int
        The number k; at most as many as the units of the even layers, and those of the odd ones.

    Returns
    -------
    list of torch.Tensor, shape (n_units, n_clusters - 1)
        Of each layer, inputs first: the eigenvectors' entries times the square root of 2, so that
        those of the even layers, and those of the odd ones, have length 1.

    Raises
    ------
    InvalidInputError
        If there are fewer units.

    Notes
    -----
    A chain of layers has all edges between even and odd layers. With B the block of
    ``D^-1/2 A D^-1/2`` between these, the eigenvalues of the Laplacian below 1 are
    ``1 - s`` for the singular values s of B, and the vectors its singular vectors.
    """
    with torch.no_grad():
        blocks = [block.double().cpu().numpy() for block in _normalized_blocks(kernels)]
    sizes = [len(block) for block in blocks] + [blocks[-1].shape[1]]
    sides = [sizes[0::2], sizes[1::2]]
    n_least = min(sum(side) for side in sides)
    require(
        2 <= n_clusters <= n_least,
        f"n_clusters = {n_clusters} must be from 2 to {n_least}, the units of every other layer",
    )
    between = np.zeros((sum(sides[0]), sum(sides[1])))
    starts = [np.cumsum([0, *side]) for side in sides]
    for index, block in enumerate(blocks):
        row, column = (index + 1) // 2, index // 2  # of the even and of the odd layer
        rows = slice(starts[0][row], starts[0][row + 1])
        columns = slice(starts[1][column], starts[1][column + 1])
        between[rows, columns] = block if index % 2 == 0 else block.T
    n_odd = between.shape[1]
    squares, odd = linalg.eigh(
        between.T @ between, subset_by_index=[max(n_odd - n_clusters, 0), n_odd - 2]
    )
    even = between @ odd / np.sqrt(squares)
    parts = [np.split(side, start[1:-1]) for side, start in zip((even, odd), starts, strict=True)]
    return [
        torch.from_numpy(np.ascontiguousarray(parts[index % 2][index // 2])).to(kernels[0])
        for index in range(len(sizes))
    ]


def eigenvalue_sum(
    kernels: Sequence[torch.Tensor], vectors: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Return the sum of eigenvalues of the normalized Laplacian that belong to given vectors.

    Parameters
    ----------
    kernels : sequence of torch.Tensor, shape (n_out, n_in)
    vectors : sequence of torch.Tensor, shape (n_units, n_vectors)
        From :func:`leading_vectors`.

    Returns
    -------
    torch.Tensor, shape ()
        With the gradient of the sum of eigenvalues: where L v = l v and v has length 1, the
        derivative of l is v' dL v, so that vectors may be held fixed.

    References
    ----------
    Filan et al., arXiv:2103.03386, clusterability of networks; the relaxed n-cut is that of Shi and
    Malik (2000).

    Examples
    --------
    Two units that read a pixel each are two parts of a graph: the second eigenvalue is 0.

    >>> kernel = torch.eye(2)
    >>> float(eigenvalue_sum([kernel], leading_vectors([kernel], 2)))
    0.0
    """
    blocks = _normalized_blocks(kernels)
    total = sum(
        (before * (block @ after)).sum()
        for before, block, after in zip(vectors, blocks, vectors[1:], strict=False)
    )
    return vectors[0].shape[1] - total


def eigenvalue_penalty(n_clusters: int, n_refresh: int) -> Penalty:
    """Return the penalty on the relaxed n-cut: see :func:`eigenvalue_sum`.

    Parameters
    ----------
    n_clusters : int
    n_refresh : int
        Steps of an epoch from one computation of eigenvectors to the next.

    Returns
    -------
    callable
        Takes the kernels and the number of steps done in the epoch.
    """
    vectors: list[torch.Tensor] = []

    def penalty(kernels: Sequence[torch.Tensor], step: int) -> torch.Tensor:
        if step % n_refresh == 0:
            vectors[:] = leading_vectors(kernels, n_clusters)
        return eigenvalue_sum(kernels, vectors)

    return penalty


def inside_masks(blocks: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Return which weights run between two units of one block.

    Parameters
    ----------
    blocks : sequence of numpy.ndarray of int, shape (n_units,)
        Of each layer, inputs first: the block of every unit; a unit of block -1 is in none.

    Returns
    -------
    list of torch.Tensor of bool, shape (n_out, n_in)
        One for each kernel.

    Examples
    --------
    >>> inside_masks([np.array([0, 1, -1]), np.array([1, -1])])[0].tolist()
    [[False, True, False], [False, False, False]]
    """
    return [
        torch.from_numpy((after[:, None] == before) & (before >= 0))
        for before, after in itertools.pairwise(blocks)
    ]


def share_between(kernels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the share of squared weights that do not run inside of a block of units.

    Parameters
    ----------
    kernels : sequence of torch.Tensor, shape (n_out, n_in)
    masks : sequence of torch.Tensor of bool, shape (n_out, n_in)
        From :func:`inside_masks`, on the device of the kernels.

    Returns
    -------
    torch.Tensor, shape ()

    References
    ----------
    Golechha et al., arXiv:2409.15747 and arXiv:2502.02470.

    Examples
    --------
    Of squared weights 1, 4, 9 and 16, those within blocks are 1 and 16.

    >>> kernel = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> masks = inside_masks([np.array([0, 1]), np.array([0, 1])])
    >>> round(float(share_between([kernel], masks)), 4)
    0.4333
    """
    squares = [kernel.square() for kernel in kernels]
    inside = sum((each * mask).sum() for each, mask in zip(squares, masks, strict=True))
    return 1 - inside / sum(each.sum() for each in squares)


def block_penalty(blocks: Sequence[np.ndarray]) -> Penalty:
    """Return the penalty on squared weights that leave fixed blocks: see :func:`share_between`.

    Parameters
    ----------
    blocks : sequence of numpy.ndarray of int, shape (n_units,)
        See :func:`inside_masks`.

    Returns
    -------
    callable
        Takes the kernels and the number of steps done in the epoch.
    """
    masks = inside_masks(blocks)

    def penalty(kernels: Sequence[torch.Tensor], step: int) -> torch.Tensor:
        return share_between(kernels, [mask.to(kernels[0].device) for mask in masks])

    return penalty
