"""The directive `fork-effects`: the forks of the method, and what each was measured to change."""

import csv
from pathlib import Path

import yaml
from docutils import nodes
from run_stamps import RUNS
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MEASURED = {"digits-controls": "digits", "mnist-controls": "MNIST"}
HEADER = ("choice", "here", "released code", "verdicts that change with it")


def read_forks(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table of forks that are readings of the released code."""
    with open(path, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["released"] == "yes"]


def effect(option: str, forks: dict[str, list[dict[str, str]]]) -> str:
    """Return what a choice changes, of each data set that it was tried on."""
    parts = []
    for data, rows in forks.items():
        changed = {
            row["network"]: int(row["verdicts_changed"].partition(" ")[0])
            for row in rows
            if row["option"] == option
        }
        some = [f"{n} ({network})" for network, n in changed.items() if n]
        if changed:
            parts.append(f"{data}: {', '.join(some) or 'none'}")
    return "; ".join(parts) or "not measured"


class ForkEffects(SphinxDirective):
    """Put the table of forks here; the body names of each, as YAML, its two readings."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        forks = {}
        for profile, data in MEASURED.items():
            path = Path(self.env.srcdir, RUNS, profile, "tables", "forks.csv")
            self.env.note_dependency(str(path))
            forks[data] = read_forks(path)
        rows = [
            (f"`{option}`", readings["here"], readings["released"], effect(option, forks))
            for option, readings in yaml.safe_load("\n".join(self.content)).items()
        ]
        lines = [HEADER, ("---",) * len(HEADER), *rows]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parsed = self.parse_text_to_nodes(text)
        for table in parsed:
            table["classes"] += ["stacked", "forks"]
        return parsed


def setup(app: Sphinx) -> dict:
    app.add_directive("fork-effects", ForkEffects)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
