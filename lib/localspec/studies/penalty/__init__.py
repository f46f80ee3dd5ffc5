"""Further training with a penalty on networks that do not fall into clusters: page 22_penalty."""

from localspec.studies.penalty._penalties import (
    block_penalty,
    eigenvalue_penalty,
    eigenvalue_sum,
    inside_masks,
    leading_vectors,
    share_between,
)
from localspec.studies.penalty._replicates import (
    BLOCKS,
    NCUT,
    NO_PENALTY,
    PARTITIONING,
    WAYS,
    PenalizedReplicate,
    gradient_norms,
    open_penalized,
)

__all__ = [
    "BLOCKS",
    "NCUT",
    "NO_PENALTY",
    "PARTITIONING",
    "WAYS",
    "PenalizedReplicate",
    "block_penalty",
    "eigenvalue_penalty",
    "eigenvalue_sum",
    "gradient_norms",
    "inside_masks",
    "leading_vectors",
    "open_penalized",
    "share_between",
]
