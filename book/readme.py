"""Fill the tables of README.md from published tables: between `<!-- NAME -->` and `<!-- end -->`.

Run from the root of the project: .venv/bin/python book/readme.py
"""

import re
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "book" / "runs"
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from note_numbers import QUANTITIES, differences_rows, markdown_table  # noqa: E402
from verdict_matrix import by_row, read_verdicts  # noqa: E402

from localspec.measures import MEASURES  # noqa: E402
from localspec.pipeline import SIGNIFICANT, on_favourable_side, verdict_texts  # noqa: E402

READINGS = {"paper": "", "kernel_norm: induced": ", released kernel norm"}
PAGES_OF = {  # profiles with published figures, by the name of their data
    "MNIST": ["mnist", "mnist-dropout", "mnist-cnns"],
    "Fashion-MNIST": ["fashion-mnist", "fashion-cnns"],
    "Polynomials": ["polynomials"],
}
BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def digits() -> str:
    """Return the p-values of the digits profile; bold where significant on the right side."""
    path = RUNS / "digits" / "tables" / "synthesis.csv"
    numbers, texts = pd.read_csv(path), pd.read_csv(path, dtype=str)
    counts = (numbers["verdict"] == SIGNIFICANT) & on_favourable_side(numbers)
    wrong = (numbers["verdict"] == SIGNIFICANT) & ~counts
    shown = texts["p"].where(~counts, "**" + texts["p"] + "**").where(~wrong, texts["p"] + "†")
    keys = ["network", "partitioning"]
    wide = texts.assign(shown=shown).pivot(index=keys, columns="measure", values="shown")
    rows = [
        [
            network.upper(),
            partitioning.replace("/", ", "),
            *wide.loc[(network, partitioning), list(MEASURES)],
            "not comparable",
            "`make book`",
        ]
        for network, partitioning in texts[keys].drop_duplicates().itertuples(index=False)
    ]
    names = [name.replace("_", " ") for name in MEASURES]
    return markdown_table(["network", "clusters from", *names, "published", "command"], rows)


def verdicts() -> str:
    """Return the matrix of verdicts of the paper's protocol."""
    networks, rows = by_row(read_verdicts(RUNS, "paper"))
    return markdown_table(
        ["claim", *networks],
        [
            [
                name,
                *(f"**{cell['verdict']}** {verdict_texts(cell)['ratio']}".strip() for cell in row),
            ]
            for name, row in rows.items()
        ],
    )


def published() -> str:
    """Return published figures beside ours, with the standardised differences first."""
    rows = [
        [data, *row]
        for data, profiles in PAGES_OF.items()
        for profile in profiles
        for row in differences_rows(RUNS / profile / "tables" / "published.csv", READINGS)
    ]
    return markdown_table(["data", "network", *QUANTITIES.values()], rows)


BLOCKS = {function.__name__: function for function in (verdicts, published, digits)}


def filled(text: str) -> str:
    """Return the text of the README with every block made anew."""
    names = [match[2] for match in BLOCK.finditer(text)]
    if names != list(BLOCKS):
        raise ValueError(f"README.md must have the blocks {', '.join(BLOCKS)}, not {names}")
    return BLOCK.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}", text)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
