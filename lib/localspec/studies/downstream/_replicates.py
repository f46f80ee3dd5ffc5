"""Replicates whose units are joined by what they do to the logits."""

from __future__ import annotations

from localspec._utils.artifacts import stage_key
from localspec._utils.validation import check_integer
from localspec.clustering import UnitGraph, downstream_graph
from localspec.pipeline import STAGES, DerivedReplicate, Replicate

WEIGHTS, ACTIVATIONS, DOWNSTREAM = "weights", "activations", "downstream"
GRAPHS = (WEIGHTS, ACTIVATIONS, DOWNSTREAM)


class DownstreamReplicate(DerivedReplicate):
    """A replicate with the downstream graph in the place of its activations graph.

    What it has under ``"activations/global"`` and ``"activations/local"`` is of clusters of the
    downstream graph; all else is as in the replicate that it is made from.

    Parameters
    ----------
    start : Replicate
        Of any origin; its network is taken.
    n_images : int
        Training images over which derivatives are correlated, at most all.
    """

    def __init__(self, start: Replicate, n_images: int) -> None:
        super().__init__(start)
        self.n_images = check_integer("n_images", n_images, 1)

    def graph(self, kind: str) -> UnitGraph:
        """Return the graph of a kind; that of "activations" is the downstream graph."""
        if kind != ACTIVATIONS:
            return super().graph(kind)
        return downstream_graph(
            self.trained,
            self.training_images(self.n_images),
            correlation=self.profile.method.correlation,
            conventions=self.conventions,
        )

    def graph_key(self, kind: str) -> str:
        """Return the key of :meth:`graph`."""
        if kind != ACTIVATIONS:
            return super().graph_key(kind)
        parameters = {
            "correlation": self.profile.method.correlation,
            "n_images": self.n_images,
            "seed": self.seed,
            **self.conventions.subset("residual_units"),
        }
        stage, inputs = "downstream_graph", (self.stored_network().key,)
        return stage_key(stage, STAGES[stage], parameters, inputs)


def by_graph(replicate: DownstreamReplicate, graph: str, scope: str) -> tuple[Replicate, str]:
    """Return the replicate and the partitioning that hold the clusters of a graph.

    Parameters
    ----------
    replicate : DownstreamReplicate
    graph : {"weights", "activations", "downstream"}
    scope : {"global", "local"}

    Returns
    -------
    replicate : Replicate
    partitioning : str
    """
    if graph == DOWNSTREAM:
        return replicate, f"{ACTIVATIONS}/{scope}"
    return replicate.start, f"{graph}/{scope}"
