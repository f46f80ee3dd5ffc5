"""Records of a gallery: gather every result on each tested subcluster of one network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from localspec._utils.validation import require
from localspec.clustering import Subcluster
from localspec.data import DERIVED
from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, Replicate
from localspec.screening import Finding, Group
from localspec.visualization import exciting_images

# data sets of drawings and products; photographs of others may not be published
FREE_IMAGES = ("digits", "mnist", "fashion-mnist", *DERIVED)
NOTABLE = 0.05  # p-values up to here are bold
SHOWN_DRAW = 1  # the random counterpart whose image stands beside the true one


@dataclass(frozen=True, eq=False)
class GalleryRecord(Group):
    """One tested subcluster; its visualizations are in [0, 1]."""

    anchor: str  # name of its card: letters, digits, dots, underscores and hyphens
    network: str
    score: float  # that its visualization reached
    random_score: float  # that of its first random counterpart
    exciting_scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Gallery:
    """Every tested subcluster of one network."""

    name: str  # the network's, with its seed
    class_names: tuple[str, ...]
    records: tuple[GalleryRecord, ...]  # by partitioning, layer and cluster
    labels: Mapping[int, int]  # class of every test image that a record names
    test_images: Mapping[int, np.ndarray]  # their pixels in [0, 1]; empty if not to be shown


def card_anchor(partitioning: str, layer: str, cluster: int) -> str:
    """Return the name of a subcluster's card, to link to.

    Examples
    --------
    >>> card_anchor("weights/local", "dense2", 3)
    'weights-local-dense2-3'
    """
    parts = (partitioning, layer, str(cluster))
    return "-".join(re.sub(r"[^\w.]+", "-", part, flags=re.ASCII) for part in parts)


def _records(replicate: Replicate, partitioning: str, n_exciting: int) -> list[GalleryRecord]:
    """Return the records of one partitioning."""
    assessed = {name: replicate.assessment(name, partitioning) for name in MEASURES}
    parts: tuple[Subcluster, ...] = replicate.draws(partitioning).subclusters
    targets = [part.as_lesion() for part in parts]
    exciting = exciting_images(
        replicate.trained, replicate.dataset.x_test, targets, n_images=n_exciting
    )
    accuracies, made = replicate.lesioned(partitioning), replicate.visualizations(partitioning)
    records = []
    for index, part in enumerate(parts):
        lost = accuracies.baseline - accuracies.lesioned[:, index]
        records.append(
            GalleryRecord(
                anchor=card_anchor(partitioning, part.layer, part.cluster),
                network=replicate.network,
                partitioning=partitioning,
                layer=part.layer,
                cluster=part.cluster,
                units=part.units,
                findings={
                    name: Finding.from_assessment(assessment, index, NOTABLE)
                    for name, assessment in assessed.items()
                },
                lost=lost[0],
                random_lost=lost[1:].mean(axis=0),
                picture=made.images[0, index],
                random_picture=made.images[SHOWN_DRAW, index],
                score=float(made.scores[0, index]),
                random_score=float(made.scores[SHOWN_DRAW, index]),
                exciting=exciting.indices[index],
                exciting_scores=exciting.scores[index],
            )
        )
    return records


def build_gallery(
    replicate: Replicate, *, n_exciting: int = 6, show_images: bool = False
) -> Gallery:
    """Gather what is known of every tested subcluster of one network.

    Parameters
    ----------
    replicate : Replicate
        Of a network that classifies images.
    n_exciting : int, optional
        Test images to name for each subcluster: those that excite it most.
    show_images : bool, optional
        Show test images also of data sets whose photographs may not be published.

    Returns
    -------
    Gallery

    Raises
    ------
    InvalidInputError
        If the data set has no classes or no images, or `n_exciting` is not a whole number from 1
        to the number of test images.

    Notes
    -----
    Lesions, visualizations and tests are those of the other pages, loaded if they are on disk. One
    more pass over the test images for each partitioning finds the exciting ones, see
    :func:`localspec.visualization.exciting_images`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Importance", "Class coherence", "Input coherence", "Output
    coherence", "Feature visualization".
    """
    dataset = replicate.dataset
    require(
        dataset.task == "classification" and len(dataset.image_shape) == 3,
        f"data set {dataset.name!r} has no classes or no images: a gallery shows both",
    )
    records = tuple(
        record
        for partitioning in PARTITIONINGS
        for record in _records(replicate, partitioning, n_exciting)
    )
    named = sorted({int(index) for record in records for index in record.exciting})
    labels = dataset.group_labels(dataset.y_test)
    shown = named if show_images or dataset.name in FREE_IMAGES else []
    return Gallery(
        name=replicate.name,
        class_names=dataset.group_names,
        records=records,
        labels={index: int(labels[index]) for index in named},
        test_images={index: dataset.x_test[index].double().cpu().numpy() for index in shown},
    )


def gallery_table(gallery: Gallery) -> pd.DataFrame:
    """Return one row a subcluster: its card, its size, p and effect of every measure.

    Returns
    -------
    pandas.DataFrame
        ``id`` is the name of the card; ``exciting`` the test images that excite it most; empty
        where undefined.

    Raises
    ------
    InvalidInputError
        If no subcluster was tested.
    """
    if not gallery.records:
        raise InvalidInputError(
            f"no subcluster of {gallery.name} was tested: ask for other n_clusters"
        )
    rows = []
    for record in gallery.records:
        row = {
            "id": record.anchor,
            "network": record.network,
            "partitioning": record.partitioning,
            "layer": record.layer,
            "cluster": record.cluster,
            "n_units": record.n_units,
        }
        for name in MEASURES:
            finding = record.findings[name]
            row |= {f"{name}_p": finding.p_value, f"{name}_effect": finding.effect}
        most = record.most_damaged
        row["most_damaged_class"] = "" if most is None else gallery.class_names[most]
        row["exciting"] = " ".join(map(str, record.exciting))
        rows.append(row)
    return pd.DataFrame(rows)
