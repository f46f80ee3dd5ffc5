"""A stage whose values change must get a new version: the cache goes by versions alone."""

import json

import numpy as np
import pytest
from golden.stages import GOLDEN, STAGES, VERSIONS

STORED = json.loads(GOLDEN.read_text(encoding="utf-8"))
REMAKE = "then write the new values with `python tests/golden/stages.py`"


def test_every_stage_is_golden():
    assert set(STAGES) == set(STORED) == set(VERSIONS)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_unchanged(stage):
    version, stored = VERSIONS[stage], STORED[stage]
    values = np.array(STAGES[stage]())
    same = len(values) == len(stored["values"]) and np.allclose(
        values, stored["values"], rtol=1e-7, atol=1e-12
    )
    assert version == stored["version"], f"stage {stage!r} is at version {version}: {REMAKE}"
    assert same, (
        f"the values of stage {stage!r} changed: raise its version in "
        f"lib/localspec/pipeline/_stages.py, {REMAKE}"
    )
