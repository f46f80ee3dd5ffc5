"""Degenerate networks: screened, and the report itself says what was odd."""

import warnings

import numpy as np
import pytest
import torch
from helpers.networks import dense, stack
from torch import nn

from localspec.clustering import NO_CLUSTER, activation_graph, cluster
from localspec.exceptions import DegenerateDataWarning
from localspec.screening import estimate, screen


def network() -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    first, last = (
        dense(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in ((6, 16), (3, 6))
    )
    return stack(nn.Flatten(), first, nn.ReLU(), last)


def data() -> tuple:
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.arange(60) % 3


def test_a_dead_unit_takes_no_part():
    dead = network()
    dead[1].weight.data[2] = 0  # the same value on every image
    units = activation_graph(dead, data()[0])
    assert units.inactive.tolist() == [False, False, True, False, False, False]
    assert cluster(units, 2).labels[2] == NO_CLUSTER
    with pytest.warns(DegenerateDataWarning, match="where chance is"):  # it is untrained
        report = screen(dead, data(), n_clusters=2, n_draws=3)
    assert np.isfinite(report.tests["permutation_p"]).any()


def test_few_images_of_a_class_define_hardly_any_class_coherence():
    x, y = data()

    def warned(n_images: int, measure: str, conventions: str = "paper") -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            few = x[:n_images], y[:n_images]
            screen(
                network(), few, n_clusters=2, n_draws=3, measures=[measure], conventions=conventions
            )
        return [str(warning.message) for warning in caught]

    # three of each class: a lesion must cost a third of the accuracy
    (said,) = [text for text in warned(9, "class_coherence") if "class coherence" in text]
    assert "have 3 images" in said
    assert "changes the accuracy by 33% or more" in said
    others = warned(60, "class_coherence") + warned(9, "importance")
    others += warned(9, "class_coherence", "released")
    assert not [text for text in others if "class coherence" in text]


def test_the_bar_names_steps_before_the_first_image(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        screen(network(), data(), n_clusters=2, n_draws=3, measures=["importance"], progress=True)
        shown = capsys.readouterr().err
        estimate(network(), data(), n_clusters=2, n_draws=3, progress=True)
        tried = capsys.readouterr().err
    assert shown.index("tracing the network") < shown.index("trying two images")
    assert shown.index("trying two images") < shown.index("lesions")
    assert tried.index("tracing the network") < tried.index("timing lesions")
