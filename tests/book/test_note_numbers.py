"""Numbers of notes: filled from tables, and refused where they are not there."""

from pathlib import Path

import pandas as pd
import pytest
from note_numbers import NumberError, filled

pytestmark = pytest.mark.book
ROOT = Path(__file__).resolve().parents[2]
NOTES = sorted((ROOT / "book" / "notes").glob("*/*.md"))
TABLE = pd.DataFrame(
    {
        "network": ["a", "a", "b", "b"],
        "p": [0.01, 0.5, 0.02, 0.9],
        "gain": [1.0, 2.0, -4.0, None],
        "word": ["x", "y", "y", "y"],
    }
)


@pytest.fixture
def fill(tmp_path):
    folder = tmp_path / "mine" / "tables"
    folder.mkdir(parents=True)
    TABLE.to_csv(folder / "t.csv", index=False)
    return lambda text, profile="mine": filled(text, tmp_path, profile)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("number('t', 'gain', \"p == 0.5\")", "2"),
        ("number('t', 'gain', \"p == 0.02\", digits=1)", "\N{MINUS SIGN}4.0"),
        ("number('t', '100 * p', \"network == 'a'\", 'max', digits=1)", "50.0"),
        ("number('t', 'gain', '', 'sum')", "\N{MINUS SIGN}1"),
        ("number('t', 'p', '', 'mean', by='network', then='max', digits=2)", "0.46"),
        ("number('t', 'word', \"network == 'b'\")", "y"),  # one value in all
        ("count('t')", "4"),
        ("count('t', 'p > 0.95')", "0"),
        ("count('t', of='network')", "2"),
        ("share('t', 'p <= 0.02', \"network == 'a'\")", "50"),
        ("rejected('t', 'p')", "2"),  # 0.01 and 0.02 of four: 0.04 both
        ("rejected('t', 'p', \"network == 'b'\")", "1"),
    ],
)
def test_expressions(fill, expression, expected):
    assert fill(f"a {{{{ {expression} }}}} b\n") == f"a {expected} b\n"


def test_tables_beside_the_notes_and_of_the_authors(tmp_path):
    beside = tmp_path / "notes" / "mine"
    beside.mkdir(parents=True)
    TABLE.to_csv(beside / "first.csv", index=False)
    text = "{{ count('first') }} {{ count('untrained_ncut', profile='published') > 0 }}"
    assert filled(text, tmp_path / "runs", "mine") == "4 True"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("number('other', 'p', '', 'min')", "no table"),
        ("number('t', 'q', '', 'min')", "'q'"),
        ("number('t', 'p', \"network == 'c'\", 'min')", "no row"),
        ("number('t', 'p')", "not a value"),  # four of them
        ("number('t', 'gain', 'p == 0.9')", "not a value"),  # empty
        ("share('t', 'p < 1', \"network == 'c'\")", "no row"),
        ("numbr('t', 'p')", "numbr"),
        ("number('t', 'p', 'netwrk == 1', 'min')", "netwrk"),
        ("count('t', profile='none')", "no table"),
    ],
)
def test_what_is_missing_fails(fill, expression, said):
    with pytest.raises(NumberError, match=said):
        fill(f"{{{{ {expression} }}}}")


def test_verdicts_stand_beside_those_of_another_profile(fill, tmp_path):
    rows = {
        "claim": ["C1", "C2", "C2", "C2"],
        "measure": ["importance", "class_coherence", "coherence", "importance"],
        "network": "a",
        "verdict": ["supported", "mixed", "mixed", "negligible"],
        "ratio": [1.496, None, None, 1.0],
        "low": [1.25, None, None, 0.99],
        "high": [1.751, None, None, 1.01],
    }
    other = pd.DataFrame(rows)
    (tmp_path / "other" / "tables").mkdir(parents=True)
    other.to_csv(tmp_path / "other" / "tables" / "verdicts.csv", index=False)
    mine = other.assign(verdict=["mixed", "mixed", "supported", "negligible"]).iloc[:3]
    mine.to_csv(tmp_path / "mine" / "tables" / "verdicts.csv", index=False)
    text = fill(
        "{% for row in verdicts_beside('other') %}{{ row.claim }} {{ row.measure }}: "
        "{{ row.before }}, {{ row.after }}, {{ row.same }} {{ row.effect_after }};{% endfor %}"
    )
    assert text == (
        "C1 importance: supported, mixed, False 1.50 [1.25, 1.75];"
        "C2 class coherence: mixed, mixed, True ;"
    )
    other.iloc[:1].to_csv(tmp_path / "other" / "tables" / "verdicts.csv", index=False)
    with pytest.raises(NumberError, match="other lacks verdicts of mine"):
        fill("{{ verdicts_beside('other') }}")


@pytest.mark.parametrize("path", NOTES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_note_can_be_filled(path):
    text = filled(path.read_text(encoding="utf-8"), ROOT / "book" / "runs", path.parent.name)
    assert "{{" not in text
    assert "nan" not in text.split()
