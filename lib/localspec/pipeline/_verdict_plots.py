"""The matrix of verdicts: a figure, and the words of its cells for other pages."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from localspec._utils.validation import check_type
from localspec.pipeline._tables import format_number
from localspec.pipeline._verdicts import CLAIMS, COHERENCE, FAILED, NOT_MADE, PASSED, VERDICT_CHECKS
from localspec.statistics import CONTRADICTED, MIXED, NEGLIGIBLE, SUPPORTED, UNDECIDABLE

SIGNS = {PASSED: "✓", FAILED: "✗", NOT_MADE: "?"}
CHECK_NAMES = dict(
    zip(VERDICT_CHECKS, ("side", "defined", "damage", "calibrated", "choices"), strict=True)
)
FACES = {
    SUPPORTED: "#BFE3D6",
    NEGLIGIBLE: "#E3E3E3",
    CONTRADICTED: "#F8D9C6",
    MIXED: "#FFFFFF",
    UNDECIDABLE: "#FFFFFF",
}
HATCHES = {CONTRADICTED: "///", UNDECIDABLE: "..."}


def row_name(claim: str, measure: str) -> str:
    """Return what a row of the matrix is called.

    Examples
    --------
    >>> row_name("C2", "input_coherence"), row_name("C2", "coherence")
    ('C2 weights: input coherence', 'C2 weights: coherence, all three')
    """
    what = measure.replace("_", " ") + (", all three" if measure == COHERENCE else "")
    return f"{claim} {CLAIMS[claim][0]}: {what}"


def verdict_texts(row: Mapping) -> dict[str, str]:
    """Return what a cell of the matrix says.

    Parameters
    ----------
    row : mapping
        A row of :func:`localspec.pipeline.verdicts_table`.

    Returns
    -------
    dict of str to str
        ``verdict``; ``ratio`` with its interval, empty without one; ``tests``, how many
        partitionings are significant on the favourable side and, if any are, on the other one;
        ``checks``, each with a sign: ✓ passed, ✗ failed, ? not made.
    """
    ratio = ""
    if not np.isnan(row["low"]):
        # as the written table has them: what is read from it says the same
        written = [float(format_number(row[name])) for name in ("ratio", "low", "high")]
        ratio = f"{written[0]:.2f} [{written[1]:.2f}, {written[2]:.2f}]"
    tests = f"{row['n_significant']} of {row['n_tests']} significant"
    if row["n_wrong_side"]:
        tests += f", {row['n_wrong_side']} on the wrong side"
    checks = [f"{CHECK_NAMES[name]} {SIGNS[row[name]]}" for name in VERDICT_CHECKS if row[name]]
    return {
        "verdict": row["verdict"],
        "ratio": ratio,
        "tests": tests,
        "checks": " ".join(check.replace(" ", "\N{NO-BREAK SPACE}") for check in checks),
    }


def plot_verdicts(table: pd.DataFrame) -> Figure:
    """Draw the matrix of verdicts: claims and measures as rows, networks as columns.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.pipeline.verdicts_table`.
    """
    check_type("table", table, pd.DataFrame, "verdicts_table(...) returns it")
    rows = list(dict.fromkeys(zip(table["claim"], table["measure"], strict=True)))
    networks = list(dict.fromkeys(table["network"]))
    figure, axis = plt.subplots(
        figsize=(1.9 + 2.5 * len(networks), 1.12 * len(rows) + 1.0), layout="constrained"
    )
    for row in table.to_dict(orient="records"):
        at = (networks.index(row["network"]), rows.index((row["claim"], row["measure"])))
        _draw_cell(axis, at, row)
    axis.set_xlim(-0.5, len(networks) - 0.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xticks(range(len(networks)), networks)
    axis.xaxis.tick_top()
    axis.set_yticks(range(len(rows)), [_row_label(*row) for row in rows])
    axis.tick_params(length=0)
    axis.grid(False)
    figure.supxlabel(
        "effect over its null mean, 95 % interval over networks; partitionings significant after "
        "correction\nchecks: ✓ passed, ✗ failed, ? not made or undecided",
        fontsize=9,
    )
    return figure


def _draw_cell(axis: plt.Axes, at: tuple[int, int], row: Mapping) -> None:
    column, line = at
    word, texts = row["verdict"], verdict_texts(row)
    together = row["measure"] == COHERENCE
    box = Rectangle(
        (column - 0.48, line - 0.45),
        0.96,
        0.9,
        facecolor=FACES[word],
        edgecolor="0.35" if together else "0.75",
        hatch=HATCHES.get(word),
        linewidth=1.4 if together else 0.8,
    )
    box.set_hatch_linewidth(0.3)
    axis.add_patch(box)
    weight = "bold" if word in (SUPPORTED, CONTRADICTED) else "normal"
    style = {"ha": "center", "linespacing": 1.15, "zorder": 4}
    lines = [texts["ratio"], texts["tests"].replace(", ", "\n"), _in_two_lines(texts["checks"])]
    axis.text(column, line - 0.4, word, va="top", weight=weight, fontsize=11, **style)
    rest = "\n".join(filter(None, lines))
    axis.text(column, line + 0.42, rest, va="bottom", fontsize=8.5, **style)


def _row_label(claim: str, measure: str) -> str:
    return row_name(claim, measure).replace(": ", "\n").replace(", ", ",\n")


def _in_two_lines(checks: str) -> str:
    """Put the last two checks, which concern every measure, into a line of their own."""
    parts = checks.split(" ")
    return "\n".join(filter(None, (" ".join(parts[:-2]), " ".join(parts[-2:]))))
