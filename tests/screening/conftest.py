"""One small screening that several tests look at."""

import pytest
from helpers.screening import CLASSES, IMAGES, SETTINGS, balanced

from localspec.screening import screen


@pytest.fixture(scope="session")
def network():
    """A network of 6 + 4 hidden units."""
    return balanced()[0]


@pytest.fixture(scope="session")
def labels():
    """Labels that the network gets right, but for a few."""
    return balanced()[1]


@pytest.fixture(scope="session")
def report(network, labels):
    return screen(network, (IMAGES, labels), class_names=CLASSES, **SETTINGS)
