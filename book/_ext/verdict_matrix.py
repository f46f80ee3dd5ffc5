"""Put the matrix of verdicts of a profile into a page: the directive `verdict-matrix`.

The table is `book/runs/<profile>/tables/verdicts.csv`, as the page 05_synthesis wrote it. Of a
profile whose page was published before there were verdicts it says so.
"""

from html import escape
from pathlib import Path

import pandas as pd
from docutils import nodes
from run_stamps import RUNS, read_stamps
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PAGE, TABLE = "05_synthesis", "verdicts.csv"
LEGEND = (
    "Effect over its null mean with its 95 % interval over networks; partitionings that are "
    "significant after correction, with the effect on the favourable side. "
    "Checks: ✓ passed, ✗ failed, ? not made."
)


def read_verdicts(runs: Path, profile: str) -> pd.DataFrame | None:
    """Return the verdicts of a published profile; none of a page that has none yet."""
    record = read_stamps(runs / profile)[PAGE]
    if TABLE not in record["tables"]:
        return None
    return pd.read_csv(
        runs / profile / "tables" / TABLE, keep_default_na=False, na_values=[""]
    ).fillna(
        {"direction": "", "defined": "", "equal_damage": "", "calibrated": "", "other_choices": ""}
    )


def missing(profile: str) -> str:
    """Return what is said where there are no verdicts."""
    return (
        f"The published synthesis of the profile `{profile}` was computed before there were "
        f"verdicts by this rule: `make run PROFILE={profile}` computes them."
    )


def cells(table: pd.DataFrame) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """Return the networks of a matrix, and by row what its cells say."""
    from localspec.pipeline import row_name, verdict_texts

    networks = list(dict.fromkeys(table["network"]))
    rows: dict[str, list[dict[str, str]]] = {}
    for row in table.to_dict(orient="records"):
        rows.setdefault(row_name(row["claim"], row["measure"]), []).append(verdict_texts(row))
    return networks, rows


def _cell(texts: dict[str, str]) -> str:
    lines = "".join(
        f"<span>{escape(texts[name])}</span>"
        for name in ("ratio", "tests", "checks")
        if texts[name]
    )
    return f"<td class='verdict-{texts['verdict']}'><strong>{texts['verdict']}</strong>{lines}</td>"


def matrix_html(table: pd.DataFrame) -> str:
    """Return the matrix as HTML."""
    networks, rows = cells(table)
    head = "".join(f"<th scope='col'>{escape(network)}</th>" for network in networks)
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(map(_cell, row))}</tr>"
        for name, row in rows.items()
    )
    return (
        "<div class='verdict-matrix'><table class='table'>"
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{escape(LEGEND)}</p></div>"
    )


class VerdictMatrix(SphinxDirective):
    """Put the matrix of the profile that is named here."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # tables change without the page
        profile = self.arguments[0]
        table = read_verdicts(Path(self.env.srcdir, RUNS), profile)
        if table is None:
            text = missing(profile).replace("`", "")
            return [nodes.note("", nodes.paragraph("", text))]
        return [nodes.raw("", matrix_html(table), format="html")]


def setup(app: Sphinx) -> dict:
    app.add_directive("verdict-matrix", VerdictMatrix)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
