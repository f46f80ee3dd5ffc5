"""GitHub's workflows: pinned, without rights that they do not need, and of targets that exist."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) <= {"contents", "pages", "id-token"}
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
            else:
                target = re.fullmatch(r"make ([a-z]+)", step["run"])[1]
                assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    for line in re.findall("uses: .*", text):
        assert re.search(r" # v\d+\.\d+\.\d+$", line), "the version of a pinned action"
