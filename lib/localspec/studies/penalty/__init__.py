"""Further training with a penalty on networks that do not fall into clusters: page 22_penalty."""

from localspec.studies.penalty._penalties import (
    block_penalty,
    eigenvalue_penalty,
    eigenvalue_sum,
    inside_masks,
    leading_vectors,
    share_between,
)
from localspec.studies.penalty._plots import plot_penalty
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
from localspec.studies.penalty._tables import (
    differences_table,
    networks_table,
    penalty_effects_table,
    ways_table,
    weights_table,
)

__all__ = [
    "BLOCKS",
    "NCUT",
    "NO_PENALTY",
    "PARTITIONING",
    "WAYS",
    "PenalizedReplicate",
    "block_penalty",
    "differences_table",
    "eigenvalue_penalty",
    "eigenvalue_sum",
    "gradient_norms",
    "inside_masks",
    "leading_vectors",
    "networks_table",
    "open_penalized",
    "penalty_effects_table",
    "plot_penalty",
    "share_between",
    "ways_table",
    "weights_table",
]
