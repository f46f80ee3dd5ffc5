"""Put verdicts of a profile into a page, as matrix and as effects: the directive `verdict-matrix`.

The table is `book/runs/<profile>/tables/verdicts.csv`, as the page 05_synthesis wrote it.
`_static/verdicts.js` shows the numbers of a cell or mark that is pointed at, and one network at a
time. On narrow screens, pages that have the matrix as a picture show it in this form, too.
"""

import math
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import pandas as pd
from docutils import nodes
from run_stamps import PAGE, RUNS
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

LEGEND = (
    "Effect over its null mean with its 95 % interval over networks; partitionings that are "
    "significant after correction, with the effect on the favourable side. "
    "Checks: ✓ passed, ✗ failed, ? not made or undecided; a ? stops nothing."
)
EFFECTS = (
    "Effect over its null mean with its 95 % interval over networks. Right of the line at 1 speaks "
    "for specialization, but for output coherence, where it is left of it. What lies beyond the "
    "axis is drawn at its end."
)
PICTURE = re.compile(r'<img alt="Matrix with claims[^>]*>')  # as figures.yml describes it
AXIS, TICKS = (0.4, 2.0), (0.5, 1, 1.5, 2)  # of effects over their null means
MARGIN, WIDTH, SPACE = 10, 340, 12  # of the figure, in its own units: pixels of a phone


def read_verdicts(runs: Path, profile: str) -> pd.DataFrame:
    """Return the verdicts of a published profile."""
    return pd.read_csv(
        runs / profile / "tables" / "verdicts.csv", keep_default_na=False, na_values=[""]
    ).fillna(
        {"direction": "", "defined": "", "equal_damage": "", "calibrated": "", "other_choices": ""}
    )


def by_row(table: pd.DataFrame) -> tuple[list[str], dict[str, list[dict]]]:
    """Return the networks of a matrix, and by its rows' names the verdicts in their cells."""
    from localspec.pipeline import row_name

    rows: dict[str, list[dict]] = {}
    for row in table.to_dict(orient="records"):
        rows.setdefault(row_name(row["claim"], row["measure"]), []).append(row)
    return list(dict.fromkeys(table["network"])), rows


def numbers_text(row: Mapping) -> str:
    """Return all that a row of the table says, in one line."""
    from localspec.pipeline import row_name, verdict_texts

    texts = verdict_texts(row)
    parts = [f"{row_name(row['claim'], row['measure'])}, {row['network']}: {texts['verdict']}"]
    if texts["ratio"]:
        parts.append(f"effect over its null mean {texts['ratio']}")
    parts.append(texts["tests"])
    if not math.isnan(row["p_equivalent"]):
        parts.append(f"p of equivalence {row['p_equivalent']:.2g}")
    if row["undefined_draws"] > 0:
        parts.append(f"{100 * row['undefined_draws']:.0f} % of the random counterparts undefined")
    if texts["checks"]:
        parts.append(f"checks: {texts['checks']}")
    return "; ".join(parts)


def _cell(row: Mapping) -> str:
    from localspec.pipeline import verdict_texts
    from localspec.statistics import UNDECIDABLE

    texts = verdict_texts(row)
    lines = "".join(
        f"<span>{escape(texts[name])}</span>"
        for name in ("ratio", "tests", "checks")
        if texts[name]
    )
    if row["verdict"] == UNDECIDABLE and row["undefined_draws"] > 0:
        lines += f"<span>{100 * row['undefined_draws']:.0f} % of draws undefined</span>"
    return (
        f"<td class='verdict-{texts['verdict']}' data-network='{escape(row['network'])}' "
        f"data-numbers='{escape(numbers_text(row))}'>"
        f"<strong>{texts['verdict']}</strong>{lines}</td>"
    )


def matrix_html(table: pd.DataFrame) -> str:
    """Return the matrix as HTML."""
    networks, rows = by_row(table)
    head = "".join(
        f"<th scope='col' data-network='{escape(name)}'>{escape(name)}</th>" for name in networks
    )
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(map(_cell, row))}</tr>"
        for name, row in rows.items()
    )
    return (
        f"<div class='verdict-matrix' style='--networks: {len(networks)}'><table class='table'>"
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{escape(LEGEND)}</p></div>"
    )


def _across(ratio: float) -> float:
    """Return where a ratio lies in the figure; what is beyond the axis lies at its end."""
    low, high = AXIS
    return MARGIN + WIDTH * (min(max(ratio, low), high) - low) / (high - low)


def _mark(row: Mapping, height: float, colour: int) -> str:
    low, ratio, high = (f"{_across(row[name]):.1f}" for name in ("low", "ratio", "high"))
    text = escape(numbers_text(row))
    return (
        f"<g role='img' aria-label='{text}' class='network-{colour}' "
        f"data-network='{escape(row['network'])}' data-numbers='{text}'>"
        f"<rect x='{MARGIN}' y='{height - SPACE / 2}' width='{WIDTH}' height='{SPACE}'/>"
        f"<line x1='{low}' x2='{high}' y1='{height}' y2='{height}'/>"
        f"<circle cx='{ratio}' cy='{height}' r='4'/></g>"
    )


def effects_html(table: pd.DataFrame) -> str:
    """Return the effects over their null means as a figure: below each row's name its networks."""
    from localspec.pipeline import row_name

    networks = list(dict.fromkeys(table["network"]))
    parts, height = [], 0.0
    for (claim, measure), rows in table.dropna(subset=["low"]).groupby(
        ["claim", "measure"], sort=False
    ):
        height += SPACE
        parts.append(f"<text x='0' y='{height}'>{escape(row_name(claim, measure))}</text>")
        for row in rows.to_dict(orient="records"):
            height += SPACE
            parts.append(_mark(row, height, networks.index(row["network"])))
        height += SPACE
    ticks = "".join(
        f"<text x='{_across(tick):.1f}' y='{height + 10}' text-anchor='middle'>{tick:g}</text>"
        for tick in TICKS
    )
    one = f"<line class='one' x1='{_across(1):.1f}' x2='{_across(1):.1f}' y1='0' y2='{height}'/>"
    keys = "".join(
        f"<span class='network-{index}' data-network='{escape(name)}'>{escape(name)}</span> "
        for index, name in enumerate(networks)
    )
    return (
        "<figure class='verdict-effects'>"
        f"<svg viewBox='0 0 {WIDTH + 2 * MARGIN} {height + 16}' role='group' "
        f"aria-label='Effects over their null means'>{one}{''.join(parts)}{ticks}</svg>"
        f"<figcaption>{keys}{escape(EFFECTS)}</figcaption></figure>"
    )


def with_matrix(body: str, matrix: str) -> str:
    """Return the HTML of a page that shows a matrix in place of its picture on narrow screens."""
    return PICTURE.sub(
        lambda match: f"<span class='wide'>{match[0]}</span><div class='verdicts'>{matrix}</div>",
        body,
        count=1,
    )


def add_matrix(
    app: Sphinx, pagename: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    match = PAGE.fullmatch(pagename)
    if doctree is None or not match or app.builder.name != "html":
        return
    if PICTURE.search(context["body"]):
        table = read_verdicts(Path(app.srcdir, RUNS), match["profile"])
        context["body"] = with_matrix(context["body"], matrix_html(table))


class VerdictMatrix(SphinxDirective):
    """Put the matrix of the profile that is named here."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # tables change without the page
        table = read_verdicts(Path(self.env.srcdir, RUNS), self.arguments[0])
        html = f"<div class='verdicts'>{matrix_html(table)}{effects_html(table)}</div>"
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict:
    app.add_directive("verdict-matrix", VerdictMatrix)
    app.connect("html-page-context", add_matrix)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
