"""Statistics: p-values, their combination and correction, and effect sizes."""

from localspec.statistics._corrections import benjamini_hochberg, benjamini_yekutieli, rank_chi2
from localspec.statistics._effects import FAVOURABLE, EffectSize, effect_size, summarize_effects
from localspec.statistics._fisher import (
    FisherResult,
    PermutationFisherResult,
    fisher,
    permutation_fisher,
)
from localspec.statistics._mean_intervals import (
    MeanInterval,
    crossed_interval,
    equivalence_p,
    t_interval,
)
from localspec.statistics._ordering import RTOL, at_most, exceedances, extremeness, relative_compare
from localspec.statistics._paired_difference import paired_difference
from localspec.statistics._pvalues import RULES, empirical_p, fisher_shift
from localspec.statistics._rank_correlation import rank_correlation
from localspec.statistics._rates import Rate, clustered_rate
from localspec.statistics._replicates import bates_cdf, combine_replicates, p_floor
from localspec.statistics._sequential import SequentialResult, sequential_p_values
from localspec.statistics._verdict import (
    BOUND_RATIO,
    CONTRADICTED,
    EQUIVALENCE_MARGIN,
    MIXED,
    MOST_UNDEFINED,
    NEGLIGIBLE,
    SUPPORTED,
    UNDECIDABLE,
    VERDICTS,
    beyond_one,
    judgement,
    verdict,
)

__all__ = [
    "BOUND_RATIO",
    "CONTRADICTED",
    "EQUIVALENCE_MARGIN",
    "FAVOURABLE",
    "MIXED",
    "MOST_UNDEFINED",
    "NEGLIGIBLE",
    "RTOL",
    "RULES",
    "SUPPORTED",
    "UNDECIDABLE",
    "VERDICTS",
    "EffectSize",
    "FisherResult",
    "MeanInterval",
    "PermutationFisherResult",
    "Rate",
    "SequentialResult",
    "at_most",
    "bates_cdf",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "beyond_one",
    "clustered_rate",
    "combine_replicates",
    "crossed_interval",
    "effect_size",
    "empirical_p",
    "equivalence_p",
    "exceedances",
    "extremeness",
    "fisher",
    "fisher_shift",
    "judgement",
    "p_floor",
    "paired_difference",
    "permutation_fisher",
    "rank_chi2",
    "rank_correlation",
    "relative_compare",
    "sequential_p_values",
    "summarize_effects",
    "t_interval",
    "verdict",
]
