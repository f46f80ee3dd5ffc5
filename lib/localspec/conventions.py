"""Conventions: give every place where readings of the method differ an option with its values.

Two presets cover all of them: ``paper`` is the plain reading (what an engineer would build from
the description), ``released`` is what the paper's released code does.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from localspec._utils.validation import Strict, check_option, shown
from localspec.exceptions import InvalidInputError

__all__ = [
    "PAPER",
    "RELEASED",
    "Conventions",
    "resolve",
]


class Conventions(Strict):
    """One reading of the method: a value for every fork.

    The defaults are the plain reading. See the book's method page, "Forks", for what each
    option means and for the reasons behind it.

    Parameters
    ----------
    kernel_norm : {"l1", "induced"}
        Norm of a convolution's kernel slice: the sum of absolute values, or the matrix norm of
        order 1 (the largest column sum).
    spatial_norm : {"l1", "induced"}
        Norm over space that makes one value of a channel's activation map.
    batch_norm_edges : {"absolute", "signed", "none"}
        How batch normalization scales edges: by ``|gamma| / sqrt(var + eps)``, by the signed
        factor, or not at all.
    cluster_count_layers : {"own", "from_input"}
        Which labels of the global clustering are counted to get a layer's number of clusters in
        a local clustering from weights: the layer's own, or labels sliced from the first node of
        the graph on (for the first hidden layer of an MLP those of the input pixels, for a
        convolution those of the convolution before it).
    local_triples : {"whole", "second_matrix"}
        What the three-layer subgraph of a local clustering holds in a network with convolutions:
        both matrices, or only the second, with labels sliced as if the first were there.
    draws : {"joint", "independent"}
        Random counterparts: one permutation of a layer's labels gives every subcluster its
        counterpart at once, or every subcluster draws on its own.
    p_rule : {"mid", "strict", "conservative", "randomised"}
        How ties with the random counterparts count.
    undefined_ranges : {"least_extreme", "left_out", "released"}
        What a class coherence with (almost) no damage to divide by counts as: the least extreme
        value; nothing, so that subclusters are ranked among defined counterparts alone; or
        whatever floating-point division makes of it.
    min_units : {"two", "three"}
        Tested subclusters: at least two units and at most 99 % of the layer's live units, or
        more than two and fewer than 99 % of the whole layer.
    lesion_point : {"unit", "normalized"}
        Where a lesion sets units to zero: at the unit's own output, so that a batch
        normalization behind it emits a constant, or behind the normalization.
    l2_first_layer : {"l2", "l1"}
        Penalty on an MLP's first kernel in runs with L2 regularization.
    dropped_weights : {"stay", "return"}
        Weights that pruning has set to zero: they stay there, or stand at the next choice with
        the size that one step of the optimiser has given them, and can come back.
    residual_units : {"tensor", "reader"}
        Units of a tensor that several layers read (chains have none): its channels, or its
        channels once for each layer that reads them, as layers of their own named
        ``"tensor->reader"``.
    lesion_readers : {"all", "one"}
        Who sees a lesion of a tensor that more than one layer reads or a skip passes on (chains
        have none): everyone, or one reader only, whose input channel is set to zero: the layer's
        own under ``residual_units="reader"``, else the tensor's first.

    Examples
    --------
    >>> Conventions().kernel_norm
    'l1'
    >>> Conventions.preset("released").kernel_norm
    'induced'
    """

    kernel_norm: Literal["l1", "induced"] = "l1"
    spatial_norm: Literal["l1", "induced"] = "l1"
    batch_norm_edges: Literal["absolute", "signed", "none"] = "absolute"
    cluster_count_layers: Literal["own", "from_input"] = "own"
    local_triples: Literal["whole", "second_matrix"] = "whole"
    draws: Literal["joint", "independent"] = "joint"
    p_rule: Literal["mid", "strict", "conservative", "randomised"] = "mid"
    undefined_ranges: Literal["least_extreme", "left_out", "released"] = "least_extreme"
    min_units: Literal["two", "three"] = "two"
    lesion_point: Literal["unit", "normalized"] = "unit"
    l2_first_layer: Literal["l2", "l1"] = "l2"
    dropped_weights: Literal["stay", "return"] = "stay"
    residual_units: Literal["tensor", "reader"] = "tensor"
    lesion_readers: Literal["all", "one"] = "all"

    @model_validator(mode="after")
    def _ranked_alike(self) -> Conventions:
        if self.p_rule == "strict" and self.undefined_ranges == "left_out":
            raise ValueError(
                "p_rule='strict' counts all draws: with undefined_ranges='left_out' use "
                "p_rule='mid'"
            )
        return self

    @classmethod
    def preset(cls, name: str) -> Conventions:
        """Return a named preset.

        Parameters
        ----------
        name : {"paper", "released"}

        Raises
        ------
        InvalidInputError
            If there is no preset of that name.
        """
        return PRESETS[check_option("convention", name, PRESETS)]

    def subset(self, *names: str) -> dict[str, str]:
        """Return the named options as a dict, for the key of a stage that depends on them."""
        options = type(self).model_fields
        return {name: getattr(self, check_option("option", name, options)) for name in names}


PAPER = Conventions()
RELEASED = Conventions(
    kernel_norm="induced",
    spatial_norm="induced",
    batch_norm_edges="signed",
    cluster_count_layers="from_input",
    local_triples="second_matrix",
    draws="independent",
    p_rule="strict",
    undefined_ranges="released",
    min_units="three",
    lesion_point="unit",
    l2_first_layer="l1",
    dropped_weights="stay",
    residual_units="reader",
    lesion_readers="one",
)
PRESETS = {"paper": PAPER, "released": RELEASED}


def resolve(conventions: Conventions | str) -> Conventions:
    """Return `conventions` itself, or the preset that it names.

    Raises
    ------
    InvalidInputError
        If it is neither.
    """
    if isinstance(conventions, Conventions):
        return conventions
    if not isinstance(conventions, str):
        presets = " or ".join(map(repr, PRESETS))
        raise InvalidInputError(
            f"conventions must be {presets}, or a Conventions that names what differs, such as "
            f"Conventions(p_rule='strict'), not {shown(conventions)}"
        )
    return Conventions.preset(conventions)
