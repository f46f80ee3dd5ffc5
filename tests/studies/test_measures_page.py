"""The page of the measures' forms, at tiny scale."""

import numpy as np
import pytest
from scipy import stats

from localspec.pipeline import FORMS, MeasuresSection, open_replicates, synthesis_table
from localspec.studies.measures import forms_evidence_table, forms_table, plot_forms

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = MeasuresSection(
        profile=tiny_profile, seeds=[0, 1], n_clusters=3, n_images=150, n_draws=7, n_steps=4
    )
    return open_replicates(section, progress=False)


def test_every_form_has_a_row_in_a_family_of_its_own(opened):
    table = forms_table(opened)
    assert len(table) == 4 * sum(len(forms) for forms in FORMS.values())
    papers = table[table["form"] == "paper's"]
    synthesis = synthesis_table(opened)
    for column in ("p", "bh", "effect_ratio"):
        assert papers[column].to_numpy() == pytest.approx(synthesis[column].to_numpy())
    margin = table[table["form"] == "logit margin"]
    others = papers.loc[papers["measure"] != "output_coherence", "p"]
    expected = stats.false_discovery_control(np.concatenate([others, margin["p"]]))[-4:]
    assert margin["bh"].to_numpy() == pytest.approx(expected)
    assert plot_forms(table).axes


def test_evidence_by_other_means(opened):
    evidence = forms_evidence_table(opened).set_index("partitioning")
    entropies = [each.visualizations("weights/local").entropies.ravel() for each in opened]
    share = np.mean(np.concatenate(entropies) < 1e-6)
    assert evidence.loc["weights/local", "tiny_entropies"] == pytest.approx(share)
    assert (evidence["correlation_true"] > 0).all()
    off = evidence["correlation_matched"] - evidence["correlation_true"]
    assert ((off.abs() < 0.1) | (evidence["undefined_matched"] > 0)).all()
