"""Replicates that are made from another one."""

from __future__ import annotations

from localspec._utils.artifacts import Artifact
from localspec._utils.validation import check_type
from localspec.networks import TrainedNetwork
from localspec.pipeline._replicate import Replicate


class DerivedReplicate(Replicate):
    """A replicate with the profile, the seed, the choices and the network of another one.

    What differs is overridden: the network, or what is made of it.

    Parameters
    ----------
    start : Replicate
        The other one, of any origin.

    Raises
    ------
    InvalidInputError
        If `start` is no replicate.
    """

    def __init__(self, start: Replicate) -> None:
        check_type("start", start, Replicate, "open_replicates(section) returns a list of them")
        super().__init__(
            start.profile,
            start.network,
            start.seed,
            start.choices,
            compute=start.compute,
            progress=start.progress,
        )
        self.start = start

    def stored_network(self) -> Artifact:
        """Return the weights of the replicate that this one is made from."""
        return self.start.stored_network()

    def _load(self, artifact: Artifact) -> TrainedNetwork:
        return self.start._load(artifact)
