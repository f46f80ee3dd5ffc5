"""Claims: read the paper's claims off the synthesis; compare weights with activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.measures import MEASURES
from localspec.pipeline import NOT_SIGNIFICANT, SIGNIFICANT, Replicate, by_network
from localspec.statistics import paired_difference, summarize_effects
from localspec.studies.published._data import load_published

# which tests of the synthesis a claim is about: graph, measures
TESTS_OF = {
    "C1": ("weights", ("importance",)),
    "C2": ("weights", ("class_coherence", "input_coherence", "output_coherence")),
    "C3": ("activations", ("importance",)),
    "C4": ("activations", ("class_coherence", "input_coherence", "output_coherence")),
}
PAPER_DATASETS = ("mnist", "fashion-mnist", "cifar10", "imagenet")
MARGIN = 0.1  # of an effect over its null mean; fixed before any network of the paper was lesioned
SCOPES = ("global", "local")


def _verdict(tests: pd.DataFrame) -> str:
    """Say in which networks at least one of a claim's tests is significant."""
    networks_of: dict[str, list[str]] = {"holds": [], "does not hold": [], "undecided": []}
    for network, part in tests.groupby("network", sort=False)["verdict"]:
        if (part == SIGNIFICANT).any():
            networks_of["holds"].append(str(network))
        elif (part == NOT_SIGNIFICANT).any():
            networks_of["does not hold"].append(str(network))
        else:
            networks_of["undecided"].append(str(network))
    if not networks_of["holds"] and not networks_of["does not hold"]:
        return "undecided: no test could be decided"
    if not networks_of["undecided"]:
        if not networks_of["does not hold"]:
            return "holds"
        names = ", ".join(networks_of["holds"])
        return f"holds for {names} only" if names else "does not hold"
    parts = [f"{verdict} for {', '.join(names)}" for verdict, names in networks_of.items() if names]
    return "; ".join(parts)


def claims_table(synthesis: pd.DataFrame, datasets: dict[str, str]) -> pd.DataFrame:
    """Return a verdict on each of the paper's claims.

    Parameters
    ----------
    synthesis : pandas.DataFrame
        As :func:`localspec.pipeline.synthesis_table` makes it.
    datasets : dict of str to str
        Data set of each network in it.

    Returns
    -------
    pandas.DataFrame
        One row a claim: the number of tests that it is about, how many are significant after
        Benjamini-Hochberg, and the verdict. A claim "holds" for a network if at least one of its
        tests is significant there (a partitioning for importance; a partitioning and one of three
        measures for coherence), and "holds" if it does for every network. Networks of which no
        test could be decided are named.

    Notes
    -----
    Networks on data that the paper does not use get no verdict and are not counted, unless there
    are no others. Nor does the claim that screening
    finds groups that can be understood: that is for readers of the gallery.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Claims".
    """
    judged = synthesis[synthesis["network"].map(datasets).isin(PAPER_DATASETS)]
    counted = synthesis if judged.empty else judged
    rows = []
    for claim in load_published("paper_claims").itertuples():
        graph, measures = TESTS_OF.get(claim.id, ("", ()))
        about = counted["partitioning"].str.startswith(f"{graph}/")
        tests = counted[about & counted["measure"].isin(measures)]
        verdict = _verdict(tests)
        if claim.id not in TESTS_OF:
            verdict = "no test decides it: look at the gallery"
        elif judged.empty:
            verdict = "no verdict: the paper has no such network"
        rows.append(
            {
                "id": claim.id,
                "claim": claim.claim,
                "tests": len(tests),
                "significant": int((tests["verdict"] == SIGNIFICANT).sum()),
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows)


def graph_difference_table(replicates: Sequence[Replicate], *, seed: int = 0) -> pd.DataFrame:
    """Compare effects of weights partitionings with those of activations partitionings.

    Parameters
    ----------
    replicates : sequence of Replicate
    seed : int, optional
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row a network, scope and measure: the mean over replicates of the difference between
        the two effects, each over its null mean and turned so that more is more specialized
        (``difference`` above 0: weights are better); a 90 % bootstrap interval over replicates;
        "equivalent" if it lies within `MARGIN` of 0, "different" if outside, else "undecidable".

    References
    ----------
    Hod et al., arXiv:2110.08058, "Weights against activations".
    """

    def ratios(group: list[Replicate], name: str, partitioning: str) -> np.ndarray:
        effects = [replicate.assessment(name, partitioning).effects for replicate in group]
        summary = summarize_effects(effects)
        sign = -1 if summary.favourable_direction == "below" else 1
        return sign * summary.network_means / summary.network_null_means

    rows = []
    for group in by_network(replicates):
        for scope in SCOPES:
            for name in MEASURES:
                weights = ratios(group, name, f"weights/{scope}")
                activations = ratios(group, name, f"activations/{scope}")
                pair = paired_difference(weights, activations, MARGIN, seed=seed)
                rows.append(
                    {
                        "network": group[0].network,
                        "scope": scope,
                        "measure": name,
                        "difference": pair.difference,
                        "low": pair.interval[0],
                        "high": pair.interval[1],
                        "margin": MARGIN,
                        "n_replicates": pair.n_networks,
                        "verdict": pair.verdict,
                    }
                )
    return pd.DataFrame(rows)
