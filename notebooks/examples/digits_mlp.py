"""A network of your own, as `your_network` wants it: copy this file and change the two functions.

`network()` returns a torch module; `data()` returns its images and labels. This example trains a
two-layer network on scikit-learn's digits with scikit-learn and copies its weights into torch, to
show that it does not matter where a network comes from.
"""

from collections import OrderedDict

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from torch import nn


def _split():
    digits = load_digits()
    images = digits.images[:, None] / 16.0
    return train_test_split(images, digits.target, test_size=0.5, random_state=0)


def network() -> nn.Module:
    """Return a classifier that reads images (n, channels, height, width) with pixels in [0, 1]."""
    x_train, _, y_train, _ = _split()
    flat = x_train.reshape(len(x_train), -1)
    fitted = MLPClassifier((48, 48), max_iter=60, tol=0, random_state=0, n_iter_no_change=60)
    fitted.fit(flat, y_train)
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for index, (weights, bias) in enumerate(zip(fitted.coefs_, fitted.intercepts_, strict=True), 1):
        layer = nn.Linear(*weights.shape, dtype=torch.float64)
        layer.weight.data = torch.from_numpy(weights.T.copy())
        layer.bias.data = torch.from_numpy(bias.copy())
        layers |= {f"dense{index}": layer, f"relu{index}": nn.ReLU()}
    layers.popitem()  # no activation after the logits
    return nn.Sequential(OrderedDict(layers))


def data() -> dict[str, torch.Tensor]:
    """Return images and labels: x and y for the tests, x_train for correlations (optional)."""
    x_train, x_test, _, y_test = _split()
    return {
        "x": torch.from_numpy(x_test),
        "y": torch.from_numpy(y_test.astype(np.int64)),
        "x_train": torch.from_numpy(x_train),
    }
