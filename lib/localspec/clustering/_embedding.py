"""Spectral embedding: compute eigenvectors of the normalized adjacency, rescaled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, LinearOperator, aslinearoperator, eigsh

LARGE_SIDE = 1000  # units above which the largest eigenvectors come from ARPACK, which is faster
SPARSE_SIZE = 2000  # units above which a sparse matrix stays so where ARPACK multiplies by it
SMALLEST_SQUARE = 1e-12  # of a singular value that the other side's vector is divided by
WEAK = 1e-18  # of all edge weight: units with less get their rows of the embedding from the others
ROUNDING = 1e-10  # of eigenpairs: more in a residual or an inner product is an error
OVERTAKEN = 1e-12  # by which an eigenvalue left out may exceed those returned
ATTACHED = 1e-8  # of a unit vector's square: weak units with less follow the others


def spectral_embedding(
    adjacency: sparse.sparray | np.ndarray,
    n_components: int,
    *,
    side: np.ndarray | None = None,
    large_side: int = LARGE_SIDE,
    sparse_size: int = SPARSE_SIZE,
) -> np.ndarray:
    """Return the eigenvectors of the largest eigenvalues of D^-1/2 A D^-1/2, times D^-1/2.

    The adjacency is symmetric, without isolated units. Columns are in descending order of
    eigenvalue, the trivial one first; each one's entry of largest magnitude is positive. Where all
    edges run between two sides, `side` says which unit is on which: then the eigenvectors come from
    singular vectors of the one block between them. Above `large_side` units (of the smaller side)
    they come from ARPACK, where few are asked for. Without two sides it multiplies by the dense
    matrix up to `sparse_size` units, above by the sparse one, if the adjacency is sparse.

    Shi and Malik (2000); von Luxburg (2007), "normalized spectral clustering"; Dhillon (2001) for
    two sides.

    With the units of one side first, ``D^-1/2 A D^-1/2 = [[0, B], [B', 0]]``. If ``B v = s u``
    and ``B' u = s v``, then (u, v) is an eigenvector to s, and (u, -v) one to -s. The vectors on
    the smaller side are the eigenvectors of ``B' B``, those on the other follow from them.

    ARPACK, which searches from one vector, misses eigenvectors where eigenvalues repeat. Connected
    components, each of which has the eigenvalue 1, are therefore solved apart; of more components
    than `n_components` the heaviest have a column. Within a component ARPACK's result is checked:
    residuals, inner products, and by a second search that no larger eigenvalue is left. What does
    not pass is computed densely.

    An eigenvector has a rounding error of 1e-16 in each entry, which D^-1/2 magnifies. At units
    with next to no edge weight (below 1e-18 of all, as an L2 penalty leaves) only the error would
    be left. Their rows E_S come from those of the others, E_L, by the same equation: with
    ``P = D^-1 A``, ``(s I - P_SS) E_S = P_SL E_L``. An eigenvector that lives on such units, as
    where they are joined among themselves more tightly than the last eigenvalue asked for, stays
    what it is: k-means then splits them off.
    """
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = 1 / np.sqrt(degrees)
    values, vectors = _eigenpairs(adjacency, scale, side, n_components, (large_side, sparse_size))
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


def _eigenpairs(
    adjacency, scale: np.ndarray, side: np.ndarray | None, n: int, limits: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n largest eigenvalues of D^-1/2 A D^-1/2, in descending order, and vectors.

    `limits` are `large_side` and `sparse_size` of :func:`spectral_embedding`.
    """
    large_side, sparse_size = limits
    size = len(scale) if side is None else min(side.sum(), (~side).sum())
    if _is_large(size, n, large_side):
        n_parts, parts = connected_components(adjacency, directed=False)
        if n_parts > 1:
            return _eigenpairs_by_part(adjacency, scale, side, n, limits, parts)
    if side is not None:
        larger = side if side.sum() >= (~side).sum() else ~side
        eigenpairs = _two_sided(adjacency, scale, larger, n, large_side)
        return eigenpairs or _eigenpairs(adjacency, scale, None, n, limits)
    is_large = _is_large(size, n, large_side)
    if sparse.issparse(adjacency) and is_large and size > sparse_size:
        weights = sparse.diags_array(scale)
        normalized = (weights @ sparse.csr_array(adjacency) @ weights).tocsr()
        return _largest_eigenvectors(aslinearoperator(normalized), n, normalized.toarray)
    dense = adjacency.toarray() if sparse.issparse(adjacency) else np.asarray(adjacency)
    normalized = dense * scale[:, None] * scale[None, :]
    operator = aslinearoperator(normalized) if is_large else None
    return _largest_eigenvectors(operator, n, lambda: normalized)


def _eigenpairs_by_part(
    adjacency,
    scale: np.ndarray,
    side: np.ndarray | None,
    n: int,
    limits: tuple[int, int],
    parts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `_eigenpairs` does, from the eigenpairs of each connected component.

    Each has the eigenvalue 1, so that at most ``n - n_parts + 1`` of one component are wanted.
    """
    volumes = np.bincount(parts, weights=scale**-2.0)
    n_each = max(1, n - len(volumes) + 1)
    units = np.split(np.argsort(parts, kind="stable"), np.cumsum(np.bincount(parts))[:-1])
    values, columns = [], []
    for part in np.argsort(-volumes, kind="stable"):
        chosen = units[part]
        if n_each == 1:
            values.append([1.0])
            columns.append((chosen, 1 / scale[chosen, None] / np.sqrt(volumes[part])))
            continue
        part_values, part_vectors = _eigenpairs(
            adjacency[chosen][:, chosen],
            scale[chosen],
            None if side is None else side[chosen],
            min(n_each, len(chosen)),
            limits,
        )
        part_values[0] = 1.0  # but for rounding, which would decide the order of components
        values.append(part_values)
        columns.append((chosen, part_vectors))
    owners = np.repeat(np.arange(len(values)), [len(part) for part in values])
    ranks = np.concatenate([np.arange(len(part)) for part in values])
    values = np.concatenate(values)
    order = np.argsort(-values, kind="stable")[:n]
    vectors = np.zeros((len(scale), n))
    for column, index in enumerate(order):
        chosen, part_vectors = columns[owners[index]]
        vectors[chosen, column] = part_vectors[:, ranks[index]]
    return values[order], vectors


def _largest_eigenvectors(
    operator: LinearOperator | None, n: int, dense: Callable[[], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n algebraically largest eigenvalues, in descending order, and their vectors.

    By ARPACK where there is an operator and the result is right, else from the dense matrix.
    """
    eigenpairs = None if operator is None else _searched(operator, n)
    if eigenpairs is None:
        matrix = dense()
        size = len(matrix)
        eigenpairs = linalg.eigh(matrix, subset_by_index=[size - n, size - 1])
        if not _are_eigenpairs(matrix, n, eigenpairs):  # LAPACK loses some of many equal ones
            values, vectors = linalg.eigh(matrix)
            eigenpairs = values[-n:], vectors[:, -n:]
    values, vectors = eigenpairs
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def _searched(operator: LinearOperator, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the n largest eigenvalues and their vectors from ARPACK; None if they are wrong."""
    size = operator.shape[0]

    def remainder(x: np.ndarray) -> np.ndarray:
        x = operator @ (x - vectors @ (vectors.T @ x))
        return x - vectors @ (vectors.T @ x)

    start = np.full(size, size**-0.5)  # ARPACK's own start is random
    try:
        values, vectors = eigsh(operator, n, which="LA", v0=start, rng=0)
        others = LinearOperator((size, size), matvec=remainder, dtype=np.float64)
        # from another start: one without the symmetry of the first, which hides eigenvectors
        start = np.random.default_rng(0).standard_normal(size)
        (largest,) = eigsh(
            others, 1, which="LA", v0=start, tol=1e-6, rng=0, return_eigenvectors=False
        )
    except ArpackError:
        return None
    complete = largest <= values.min() + OVERTAKEN
    right = complete and _are_eigenpairs(operator, n, (values, vectors))
    return (values, vectors) if right else None


def _are_eigenpairs(
    matrix: np.ndarray | LinearOperator, n: int, eigenpairs: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Return whether n eigenpairs satisfy their equation, with orthonormal vectors."""
    values, vectors = eigenpairs
    if vectors.shape[1] != n:
        return False
    residuals = matrix @ vectors - vectors * values
    products = vectors.T @ vectors - np.eye(n)
    errors = residuals / max(1.0, np.abs(values).max()), products
    return max(np.abs(error).max() for error in errors) <= ROUNDING


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
    operator = None
    if _is_large(size, n, large_side):
        transposed = block.T.tocsr()
        operator = LinearOperator(
            (size, size), matvec=lambda x: transposed @ (block @ x), dtype=np.float64
        )

    def squared() -> np.ndarray:
        dense = block.toarray()
        return dense.T @ dense

    squares, right = _largest_eigenvectors(operator, n, squared)
    if squares[-1] <= SMALLEST_SQUARE:
        return None
    vectors = np.empty((len(scale), n))
    vectors[~larger] = right
    vectors[larger] = block @ right / np.sqrt(squares)
    return np.sqrt(squares), vectors * np.sqrt(0.5)
