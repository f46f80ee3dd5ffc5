"""Calls of replicates, tables and openers that are refused before anything is trained."""

import pytest
from helpers.refusals import cases, check_refused

from localspec.pipeline import (
    Choices,
    Replicate,
    checked_coherence,
    coherence_checks_table,
    corrected_table,
    load_profile,
    network_test_table,
    open_replicates,
    subcluster_table,
    synthesis_table,
    training_table,
    write_table,
)


def stored(seed=0, network="mlp", **options):
    """Return a replicate that may only be loaded, and is not there."""
    return Replicate(load_profile("digits"), network, seed, compute="never", **options)


CALLS = {  # of a replicate, and of what tables and openers are given
    "a choice of no strata": (
        lambda: Choices(strata="norm"),
        "strata='norm'",
        "'weight norm', 'mean activation'",
    ),
    "a choice of no replacement": (
        lambda: Choices(replacement="median"),
        "replacement='median' is not known; choose one of 'zero', 'mean'",
    ),
    "a choice of no check": (
        lambda: Choices(check="equal"),
        "check='equal'",
        "'defined', 'equal_damage'",
    ),
    "a choice of one cluster": (lambda: Choices(n_clusters=1), "n_clusters", "at least 2", "not 1"),
    "a choice of conventions by name": (
        lambda: Choices(conventions="released"),
        "conventions must be a Conventions, not str: Conventions.preset",
    ),
    "a choice of a negative seed": (lambda: Choices(draws_seed=-1), "draws_seed", "not -1"),
    "other choices": (
        lambda: stored().with_choices(check="damage"),
        "check='damage'",
        "'defined', 'equal_damage'",
    ),
    "choices in a dict": (
        lambda: stored(choices={"n_clusters": 4}),
        "choices must be a Choices, not dict: such as Choices(n_clusters=4)",
    ),
    "a profile by name": (
        lambda: Replicate("digits", "mlp", 0),
        "profile must be a Profile, not str: load_profile(name)",
    ),
    "a network of no profile": (lambda: stored(network="vgg"), "network='vgg'", "'mlp'"),
    "a seed of text": (lambda: stored(seed="0"), "seed", "whole number", "not '0'"),
    "progress by text": (lambda: stored(progress="no"), "progress must be True or False", "'no'"),
    "a graph of no kind": (
        lambda: stored().graph("weight"),
        "kind='weight' is not known; choose one of 'weights', 'activations'",
    ),
    "a partitioning of no scope": (
        lambda: stored().partition("weights"),
        "partitioning='weights'",
        "'weights/global'",
    ),
    "lesions of no partitioning": (
        lambda: stored().lesioned("weights/both"),
        "partitioning='weights/both'",
        "'weights/local'",
    ),
    "images of no partitioning": (lambda: stored().visualizations(0), "partitioning=0"),
    "a measure by another name": (
        lambda: stored().measure("damage", "weights/global"),
        "measure='damage' is not known; choose one of 'importance'",
    ),
    "parameters in a dict": (
        lambda: open_replicates({"profile": "digits"}),
        "section must be a Section, not dict: such as TrainingSection",
    ),
    "one replicate": (
        lambda: training_table(stored()),
        "replicates must be a list, as open_replicates",
        "Replicate",
    ),
    "a measure, no list": (
        lambda: network_test_table([stored()], measures="importance"),
        "measures must be a list of some of 'importance'",
        "not 'importance'",
    ),
    "an unknown measure": (
        lambda: subcluster_table([stored()], measures=["damage"]),
        "measures='damage' is not known; choose one of 'importance'",
    ),
    "synthesis of one replicate": (
        lambda: synthesis_table(stored()),
        "replicates must be a list, as open_replicates",
    ),
    "synthesis of none": (lambda: synthesis_table([]), "no replicate", "a network and a seed"),
    "synthesis at a level of text": (
        lambda: synthesis_table([stored()], level="0.05"),
        "level must be a number between 0 and 1, not '0.05'",
    ),
    "correction of nothing": (lambda: corrected_table([]), "rows must be a list", "combined_rows"),
    "checks without a synthesis": (
        lambda: coherence_checks_table([stored()], None),
        "synthesis must be a DataFrame, not NoneType",
        "synthesis_table(replicates)",
    ),
    "a check by another name": (
        lambda: checked_coherence(stored(), "damage", "weights/global"),
        "check='damage'",
        "'defined', 'equal_damage'",
    ),
    "rows for a table": (
        lambda: write_table([{"ncut": 5.5}], "clusterability", profile="digits"),
        "table must be a DataFrame, not list: pandas.DataFrame(rows)",
    ),
}


@pytest.mark.parametrize(("call", "words"), cases(CALLS))
@pytest.mark.usefixtures("no_long_work", "untouched_results")
def test_calls(call, words):
    check_refused(call, words)
