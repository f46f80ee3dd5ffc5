"""Tables and figures of no replicate at all: one clear error."""

import pytest
from helpers.refusals import check_refused

from localspec.studies import (
    ablations,
    double_lesions,
    downstream,
    learning_curve,
    measures,
    natural_images,
    penalty,
    rank_tests,
)

FIT = ablations.Fit(n_images=50, n_steps=20)


@pytest.mark.parametrize(
    "make",
    [
        lambda none: ablations.ablations_table(none, fit=FIT),
        lambda none: ablations.agreement_table(none, fit=FIT),
        lambda none: ablations.damage_table(none, fit=FIT),
        lambda none: ablations.fit_table(none, fit=FIT),
        double_lesions.conditional_table,
        double_lesions.double_lesions_table,
        double_lesions.plot_double_lesions,
        downstream.downstream_differences_table,
        downstream.downstream_effects_table,
        downstream.graphs_table,
        learning_curve.networks_by_epoch,
        learning_curve.stability_table,
        measures.forms_table,
        lambda none: natural_images.natural_scores_table(none, 10),
        lambda none: natural_images.similarity_table(none, 10),
        penalty.networks_table,
        penalty.penalty_effects_table,
        penalty.weights_table,
        lambda none: rank_tests.null_rates_table(none, none),
        rank_tests.properties_table,
        rank_tests.rank_tests_table,
    ],
)
def test_there_is_nothing_to_tabulate(make):
    check_refused(lambda: make([]), ["there is no replicate to"])
