"""torchvision, also beside a torch that its compiled operators were not built for.

The package index holds torchvision built for CUDA. Beside a CPU build of torch its compiled
operators do not load, and the import fails where torchvision describes one of them, ``nms``, to
torch. Nothing here needs those operators: once ``nms`` and ``qnms`` are declared, data sets,
transforms, models and feature extraction work, and ``torchvision.ops.nms`` and
``torchvision.io.read_image`` do not. torchvision takes a second or more to import, so that it is
imported where it is needed and not with the library.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

MISSING_OPERATOR = "operator torchvision::nms does not exist"
OPERATORS = ("nms", "qnms")

_declared: list[torch.library.Library] = []  # a declaration lasts as long as its object


def import_torchvision() -> ModuleType:
    """Import torchvision, and declare its operators where they are missing.

    A plain import finds the same module from then on. If the import fails for any other reason than
    the missing operators, that error is raised.

    Examples
    --------
    >>> import_torchvision().datasets.MNIST.__name__
    'MNIST'
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSING_OPERATOR not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported
    library = torch.library.Library("torchvision", "DEF")
    for operator in OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    return importlib.import_module("torchvision")
