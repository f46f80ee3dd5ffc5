"""Fill the numbers of notes from published tables: `{{ number(...) }}` and its like.

A note names what it says of a table and never the number itself. A build fails where a table, a
column or a row is missing, or a value is empty.

Tables are those of a published profile and those that lie beside its notes; the profile "published"
stands for the figures that the authors published.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd
from sphinx.errors import ExtensionError


class NumberError(ExtensionError):
    """A number of a note is not in the tables."""

    category = "Notes"


@cache
def _table(path: Path, modified: int) -> pd.DataFrame:
    return pd.read_csv(path)


class Numbers:
    """What expressions of a profile's notes can ask of tables: its own, or those they name."""

    def __init__(self, runs: Path, profile: str) -> None:
        self.runs, self.profile = runs, profile

    def _rows(self, table: str, where: str, profile: str | None) -> pd.DataFrame:
        profile = profile or self.profile
        path = self.runs / profile / "tables" / f"{table}.csv"
        if profile == "published":
            path = Path(str(files("localspec.studies.published"))) / "data" / f"{table}.csv"
        elif not path.is_file():
            path = self.runs.parent / "notes" / profile / f"{table}.csv"
        if not path.is_file():
            raise NumberError(f"{profile} has no table {table}")
        rows = _table(path, path.stat().st_mtime_ns)
        try:
            rows = rows.query(where) if where else rows
        except Exception as error:
            raise NumberError(f"{table}, {where!r}: {error}") from error
        if rows.empty:
            raise NumberError(f"{table} has no row where {where}")
        return rows

    def number(
        self,
        table: str,
        column: str,
        where: str = "",
        how: str = "only",
        *,
        by: str = "",
        then: str = "min",
        digits: int | None = None,
        profile: str | None = None,
    ) -> str:
        """Return a number of a table: a column, or an expression of columns, of some rows.

        `how` is "only" where there is one row (or one value in all), or what pandas calls a
        summary: "mean", "median", "min", "max", "sum". With `by`, names of columns, the summary
        is made in each group, and `then` is the summary of these. Four significant digits, or as
        many places after the point as `digits` says.
        """
        rows = self._rows(table, where, profile)
        try:
            values = rows.eval(column) if column not in rows else rows[column]
        except Exception as error:
            raise NumberError(f"{table}, {column!r}: {error}") from error
        if by:
            values = values.groupby([rows[name] for name in by.split()]).agg(how).agg([then])
        elif how != "only":
            values = pd.Series([values.agg(how)])
        unique = values.unique()
        if len(unique) != 1 or pd.isna(unique[0]):
            raise NumberError(f"{table}, {column!r} where {where}: {unique.tolist()}, not a value")
        value = unique[0]
        if isinstance(value, str):
            return value
        text = f"{value:.4g}" if digits is None else f"{value:.{digits}f}"
        return text.replace("-", "\N{MINUS SIGN}") if "e" not in text else text

    def count(
        self, table: str, where: str = "", *, of: str = "", profile: str | None = None
    ) -> int:
        """Return the number of rows, or of different values of the columns `of`; none is 0."""
        rows = self._rows(table, "", profile)
        rows = rows.query(where) if where else rows
        return len(rows[of.split()].drop_duplicates() if of else rows)

    def rejected(
        self,
        table: str,
        p: str,
        where: str = "",
        *,
        level: float = 0.05,
        profile: str | None = None,
    ) -> int:
        """Return how many rows are significant where all of a table are corrected together.

        By Benjamini and Hochberg over the column `p`; only rows that fulfil `where` are counted.
        """
        from localspec.statistics import benjamini_hochberg

        rows = self._rows(table, "", profile)
        passed = rows[benjamini_hochberg(rows[p].to_numpy(), alpha=level).rejected]
        return len(passed.query(where) if where else passed)

    def differences(self) -> str:
        """Return published figures beside ours as a table, standardised differences first."""
        path = self.runs / self.profile / "tables" / "published.csv"
        if not path.is_file():
            raise NumberError(f"there is no table {path}")
        return markdown_table(["network", *QUANTITIES.values()], differences_rows(path))

    def verdicts_beside(self, other: str, *, profile: str | None = None) -> list[dict[str, object]]:
        """Return the verdicts of single measures beside those of another profile.

        One row a verdict, by ``claim``, ``measure`` and ``network``: the word ``before``, in the
        other profile, and ``after``, whether they are ``same``, and the effects with intervals,
        ``effect_before`` and ``effect_after``, which are empty where there is none.
        """
        keys = ["claim", "measure", "network"]
        mine, before = (self._rows("verdicts", "", name) for name in (profile, other))
        mine = mine[mine["measure"] != "coherence"]  # which stands for three measures
        both = mine.merge(before, on=keys, suffixes=("_after", "_before"), validate="1:1")
        if len(both) < len(mine):
            raise NumberError(f"{other} lacks verdicts of {profile or self.profile}")
        return [
            {
                "claim": row["claim"],
                "measure": row["measure"].replace("_", " "),
                "network": row["network"],
                "before": row["verdict_before"],
                "after": row["verdict_after"],
                "same": row["verdict_before"] == row["verdict_after"],
                "effect_before": _effect_text(row, "before"),
                "effect_after": _effect_text(row, "after"),
            }
            for row in both.to_dict(orient="records")
        ]

    def share(
        self,
        table: str,
        condition: str,
        where: str = "",
        *,
        digits: int = 0,
        profile: str | None = None,
    ) -> str:
        """Return in percent which share of some rows fulfils a condition."""
        rows = self._rows(table, where, profile)
        return f"{100 * len(rows.query(condition)) / len(rows):.{digits}f}"


def _effect_text(row: dict, when: str) -> str:
    mean, low, high = (row[f"{name}_{when}"] for name in ("ratio", "low", "high"))
    return "" if pd.isna(low) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


QUANTITIES = {
    "ncut": "n-cut",
    "shuffled_ncut_mean": "n-cut of shuffled copies",
    "test_accuracy": "test accuracy",
}


def difference_text(row: pd.Series, quantity: str) -> str:
    """Return a standardised difference with its interval, the means, and a mark if they differ.

    ‡: our mean lies outside the widened range of the published ones.
    """
    numbers = (row[name] for name in ("difference", "difference_low", "difference_high"))
    g, low, high = (f"{float(number) + 0.0:.1f}".replace("-0.0", "0.0") for number in numbers)
    places = 4 if quantity == "test_accuracy" else 2
    ours, published = (f"{float(row[name]):.{places}f}" for name in ("ours", "published"))
    mark = "" if row["verdict"] == "holds" else " ‡"
    return f"{g} [{low}, {high}]: {ours}, {published}{mark}".replace("-", "\N{MINUS SIGN}")


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def differences_rows(path: Path, readings: dict[str, str] | None = None) -> list[list[str]]:
    """Return the rows of published figures beside ours: a configuration, then three quantities.

    Where `readings` are given, of these only, by what is added to the network's name.
    """
    table, rows = pd.read_csv(path, dtype=str), []
    for (network, reading), part in table.groupby(["network", "reading"], sort=False):
        if readings is not None and reading not in readings:
            continue
        added = "" if reading == "paper" else f", {reading}"
        name = network + (added if readings is None else readings[reading])
        part = part.set_index("quantity")
        cells = [
            difference_text(part.loc[each], each) if each in part.index else "none"
            for each in QUANTITIES
        ]
        rows.append([name, *cells])
    return rows


def filled(text: str, runs: Path, profile: str) -> str:
    """Return a note with every number in it."""
    numbers = Numbers(runs, profile)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, comment_start_string="{##", keep_trailing_newline=True
    )
    names = {
        name: getattr(numbers, name)
        for name in ("number", "count", "share", "rejected", "differences", "verdicts_beside")
    }
    try:
        return environment.from_string(text).render(**names)
    except jinja2.TemplateError as error:
        raise NumberError(f"notes of {profile}: {error}") from error
