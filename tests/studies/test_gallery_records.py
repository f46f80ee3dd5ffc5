"""The gallery's records: what the assessments, lesions and visualizations of a network say."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import lesioned_accuracies

from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, Replicate, subcluster_table, write_table
from localspec.studies.gallery import build_gallery, gallery_html, gallery_table
from localspec.visualization import exciting_images

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def replicate(replicates):
    return replicates[0]


@pytest.fixture
def gallery(replicate):
    return build_gallery(replicate, n_exciting=4)


def with_data(replicate, **changes):
    """Return the replicate with another data set."""

    class Changed(Replicate):
        @property
        def dataset(self):
            return replace(super().dataset, **changes)

    return Changed(replicate.profile, "mlp", 0, progress=False)


def test_every_tested_subcluster_is_there_once(replicate, gallery):
    tested = [
        (name, part.layer, part.cluster, part.units.tolist())
        for name in PARTITIONINGS
        for part in replicate.draws(name).subclusters
    ]
    shown = [(r.partitioning, r.layer, r.cluster, r.units.tolist()) for r in gallery.records]
    assert shown == tested
    assert len(tested) > 8
    assert len({record.anchor for record in gallery.records}) == len(tested)


def test_findings_equal_the_assessments(replicate, gallery):
    for partitioning in PARTITIONINGS:
        records = [r for r in gallery.records if r.partitioning == partitioning]
        for name in MEASURES:
            assessment = replicate.assessment(name, partitioning)
            for kind, expected in (
                ("p_value", assessment.p_values),
                ("effect", assessment.effects.effect),
                ("value", assessment.measure.values[0]),
            ):
                shown = [getattr(record.findings[name], kind) for record in records]
                np.testing.assert_array_equal(shown, expected)


def test_damage_is_the_change_of_accuracy_of_each_class(replicate, gallery):
    record = gallery.records[0]
    data = replicate.trained.module, replicate.dataset.x_test, replicate.dataset.y_test
    before, after = (
        lesioned_accuracies(*data, units) for units in ({}, {record.layer: record.units})
    )
    assert record.lost == pytest.approx(before - after, abs=1e-12)
    lesioned = replicate.lesioned(record.partitioning)
    random = lesioned.baseline - np.mean([row[0] for row in lesioned.lesioned[1:]], axis=0)
    assert record.random_lost == pytest.approx(random, abs=1e-12)


def test_images_are_the_true_one_and_that_of_the_first_draw(replicate, gallery):
    made = replicate.visualizations("weights/local")
    records = [r for r in gallery.records if r.partitioning == "weights/local"]
    for index, record in enumerate(records):
        np.testing.assert_array_equal(record.picture, made.images[0, index])
        np.testing.assert_array_equal(record.random_picture, made.images[1, index])
        assert (record.score, record.random_score) == tuple(made.scores[:2, index])


def test_exciting_images_are_test_images(replicate, gallery):
    record = gallery.records[-1]
    targets = [{record.layer: record.units}]
    x = replicate.dataset.x_test
    expected = exciting_images(replicate.trained, x, targets, n_images=4)
    assert record.exciting.tolist() == expected.indices[0].tolist()
    for index in record.exciting.tolist():
        assert gallery.labels[index] == int(replicate.dataset.y_test[index])
        np.testing.assert_array_equal(gallery.test_images[index], x[index].numpy())


def test_table_agrees_with_the_table_of_subclusters(replicate, gallery):
    table = gallery_table(gallery)
    other = subcluster_table([replicate])
    for name in MEASURES:
        for kind in ("p", "effect"):
            np.testing.assert_array_equal(table[f"{name}_{kind}"], other[f"{name}_{kind}"])
    printed = write_table(table, "gallery", profile="tiny")
    assert printed["id"].tolist() == [record.anchor for record in gallery.records]


def test_photographs_are_shown_only_when_asked_for(replicate):
    unnamed = with_data(replicate, name="photographs")  # under which no image is published
    hidden = build_gallery(unnamed, n_exciting=2)
    assert (len(hidden.test_images), len(hidden.labels)) == (0, len(set(_named(hidden))))
    assert 'class="lsg-sprite lsg-test"' not in gallery_html(hidden)
    shown = build_gallery(unnamed, n_exciting=2, show_images=True)
    assert list(shown.test_images) == sorted(set(_named(shown)))


def _named(gallery):
    return [int(index) for record in gallery.records for index in record.exciting]


def test_the_same_twice(replicate, gallery):
    assert gallery_html(build_gallery(replicate, n_exciting=4)) == gallery_html(gallery)


@pytest.mark.parametrize(("n_exciting", "words"), [(0, "at least 1"), (900, "there are 899")])
def test_bad_numbers_of_exciting_images(replicate, n_exciting, words):
    with pytest.raises(InvalidInputError, match=words):
        build_gallery(replicate, n_exciting=n_exciting)


def test_data_without_classes_are_refused(replicate):
    with pytest.raises(InvalidInputError, match="has no classes or no images"):
        build_gallery(with_data(replicate, class_names=()))
