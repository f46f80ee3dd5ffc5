"""The spectral embedding of a graph: eigenvectors of the normalized adjacency, rescaled."""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh

LARGE_SIDE = 1000  # units above which the largest eigenvectors come from ARPACK, which is faster
SMALLEST_SQUARE = 1e-12  # of a singular value that the other side's vector is divided by
WEAK = 1e-18  # of all edge weight: units with less get their rows of the embedding from the others
ATTACHED = 1e-8  # of a unit vector's square: weak units with less follow the others


def spectral_embedding(
    adjacency: sparse.sparray | np.ndarray,
    n_components: int,
    *,
    side: np.ndarray | None = None,
    large_side: int = LARGE_SIDE,
) -> np.ndarray:
    """Return the eigenvectors of the largest eigenvalues of D^-1/2 A D^-1/2, times D^-1/2.

    Parameters
    ----------
    adjacency : scipy.sparse array or numpy.ndarray, shape (n_units, n_units)
        Symmetric, without isolated units.
    n_components : int
    side : numpy.ndarray of bool, shape (n_units,), optional
        Where all edges run between two sides, which unit is on which: then the eigenvectors come
        from singular vectors of the one block between them.
    large_side : int, optional
        Units above which the eigenvectors come from ARPACK, where few of them are asked for.

    Returns
    -------
    numpy.ndarray, shape (n_units, n_components)
        In descending order of eigenvalue, the trivial one first; each column's entry of
        largest magnitude is positive.

    Notes
    -----
    With the units of one side first, ``D^-1/2 A D^-1/2 = [[0, B], [B', 0]]``. If ``B v = s u``
    and ``B' u = s v``, then (u, v) is an eigenvector to s, and (u, -v) one to -s. The vectors on
    the smaller side are the eigenvectors of ``B' B``, those on the other follow from them.

    An eigenvector has a rounding error of 1e-16 in each entry, which D^-1/2 magnifies. At units
    with next to no edge weight (below 1e-18 of all, as an L2 penalty leaves) only the error would
    be left. Their rows E_S come from those of the others, E_L, by the same equation: with
    ``P = D^-1 A``, ``(s I - P_SS) E_S = P_SL E_L``. An eigenvector that lives on such units, as
    where they are joined among themselves more tightly than the last eigenvalue asked for, stays
    what it is: k-means then splits them off.

    References
    ----------
    Shi and Malik (2000); von Luxburg (2007), "normalized spectral clustering"; Dhillon (2001)
    for two sides.
    """
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = 1 / np.sqrt(degrees)
    eigenpairs = None
    if side is not None:
        if side.sum() < (~side).sum():
            side = ~side
        eigenpairs = _two_sided(adjacency, scale, side, n_components, large_side)
    if eigenpairs is None:
        dense = adjacency.toarray() if sparse.issparse(adjacency) else np.asarray(adjacency)
        normalized = dense * scale[:, None] * scale[None, :]
        if _is_large(len(scale), n_components, large_side):
            normalized = aslinearoperator(normalized)
        eigenpairs = _largest_eigenvectors(normalized, n_components)
    values, vectors = eigenpairs
    embedding = vectors * scale[:, None]
    weak = weak_units(degrees)
    if weak.any():
        follows = (vectors[weak] ** 2).sum(axis=0) < ATTACHED
        rows = sparse.csr_array(adjacency)[weak]
        rows.data /= np.repeat(degrees[weak], np.diff(rows.indptr))
        _follow(embedding, rows, weak, values, np.flatnonzero(follows & (values > ATTACHED)))
    peaks = np.abs(embedding).argmax(axis=0)
    return embedding * np.sign(embedding[peaks, np.arange(n_components)])


def weak_units(degrees: np.ndarray) -> np.ndarray:
    """Return which units have some edge weight, but next to none of the total."""
    return (degrees > 0) & (degrees < WEAK * degrees.sum())


def _follow(
    embedding: np.ndarray,
    rows: sparse.csr_array,
    weak: np.ndarray,
    values: np.ndarray,
    columns: np.ndarray,
) -> None:
    """Write the weak units' entries of some columns, as they follow from the others', in place."""
    inner = rows[:, weak].toarray()
    outer = rows[:, ~weak] @ embedding[~weak]
    for column in columns:
        matrix = values[column] * np.eye(len(inner)) - inner
        *_, solution, info = linalg.lapack.dgesv(matrix, outer[:, column])
        if info == 0:  # else the weak units are a part of their own
            embedding[weak, column] = solution


def _largest_eigenvectors(
    matrix: np.ndarray | LinearOperator, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n algebraically largest eigenvalues, in descending order, and their vectors."""
    size = matrix.shape[0]
    if isinstance(matrix, LinearOperator):
        start = np.full(size, size**-0.5)  # ARPACK's own start is random
        values, vectors = eigsh(matrix, n, which="LA", v0=start)
    else:
        values, vectors = linalg.eigh(matrix, subset_by_index=[size - n, size - 1])
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def _is_large(size: int, n: int, large_side: int) -> bool:
    return size > large_side and 10 * n < size


def _two_sided(
    adjacency, scale: np.ndarray, larger: np.ndarray, n: int, large_side: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return eigenvalues and vectors by way of the smaller side; None if too few are positive."""
    weights = [sparse.diags_array(part) for part in (scale[larger], scale[~larger])]
    block = (weights[0] @ sparse.csr_array(adjacency[larger][:, ~larger]) @ weights[1]).tocsr()
    size = block.shape[1]
    if n > size:
        return None
    if _is_large(size, n, large_side):
        transposed = block.T.tocsr()
        squared = LinearOperator(
            (size, size), matvec=lambda x: transposed @ (block @ x), dtype=np.float64
        )
    else:
        dense = block.toarray()
        squared = dense.T @ dense
    squares, right = _largest_eigenvectors(squared, n)
    if squares[-1] <= SMALLEST_SQUARE:
        return None
    vectors = np.empty((len(scale), n))
    vectors[~larger] = right
    vectors[larger] = block @ right / np.sqrt(squares)
    return np.sqrt(squares), vectors * np.sqrt(0.5)
