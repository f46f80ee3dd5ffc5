"""The matrix of verdicts, from tables made by hand, and its figures."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import (
    BLUE,
    GREEN,
    PARTITIONINGS,
    PINK,
    format_number,
    format_table,
    on_favourable_side,
    plot_effect_forest,
    plot_p_value_map,
    plot_verdicts,
    read_controls,
    row_name,
    verdict_texts,
    verdicts_table,
)
from localspec.pipeline._verdict_plots import FACES
from localspec.statistics import FAVOURABLE, VERDICTS, t_interval

ROOT = Path(__file__).resolve().parents[2]
NAN = float("nan")
SEEDS = range(5)
SPREAD = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])  # over networks, around their mean
WEIGHTS = ["weights/global", "weights/local"]
KINDS = dict(zip(MEASURES, ("drop", "range", "score", "entropy"), strict=True))


def tables(ratios=None, insignificant=(), *, unranked=(), undefined=0.1, chain="calibrated"):
    """Return effects, synthesis and checks of a network; all is significant but what is given."""
    effects, tests, checks = [], [], []
    for partitioning in PARTITIONINGS:
        for name in MEASURES:
            favourable = FAVOURABLE[KINDS[name]]
            usual = 1.3 if favourable == "above" else 0.7
            mean = (ratios or {}).get((partitioning, name), usual)
            key = {"network": "a", "partitioning": partitioning, "measure": name}
            values = np.full(5, mean) + SPREAD
            effects += [
                {**key, "seed": seed, "effect": 2 * value, "effect_null": 2.0, "ratio": value}
                for seed, value in zip(SEEDS, values, strict=True)
            ]
            word = "not significant" if (partitioning, name) in insignificant else "significant"
            effect = {"effect": mean, "effect_se": 0.01, "effect_null": 1.0, "effect_ratio": mean}
            test = {"p": 1e-4, "verdict": word, "favourable": favourable, "chain": chain}
            tests.append({**key, **effect, **test})
        word = "not significant" if partitioning in unranked else "significant"
        row = {"network": "a", "partitioning": partitioning, "undefined_draws": undefined}
        checks.append({**row, "verdict_defined": word, "verdict_equal_damage": word})
    return pd.DataFrame(effects), pd.DataFrame(tests), pd.DataFrame(checks)


def matrix(*arguments, controls=None, **options):
    return verdicts_table(*tables(*arguments, **options), controls).set_index(["claim", "measure"])


def both(name, value):
    return {(partitioning, name): value for partitioning in WEIGHTS}


def test_rows_and_numbers_of_one_network():
    table = verdicts_table(*tables())
    coherence = ["coherence", *MEASURES[1:]]
    assert table["measure"].tolist() == [MEASURES[0], *coherence] * 2
    assert table["claim"].tolist() == ["C1", *["C2"] * 4, "C3", *["C4"] * 4]
    assert set(table["verdict"]) == {"supported"}
    row = table.iloc[0]
    expected = t_interval(1.3 + SPREAD)
    assert [row["ratio"], row["low"], row["high"]] == pytest.approx(
        [expected.mean, expected.low, expected.high]
    )
    # both partitionings have the same ratios: nothing is added by taking them as random
    assert [row["low_random"], row["high_random"]] == pytest.approx([expected.low, expected.high])
    assert row["p_equivalent"] > 0.999
    assert (row["n_significant"], row["n_tests"], row["n_networks"]) == (2, 2, 5)
    assert row["calibrated"] == row["other_choices"] == "not made"
    assert row["defined"] == row["equal_damage"] == ""  # they do not concern importance


def test_networks_one_below_the_other_for_every_claim():
    first = tables()
    second = [table.assign(network="b") for table in first]
    together = [pd.concat(pair) for pair in zip(first, second, strict=True)]
    table = verdicts_table(*together)
    assert table["network"].tolist() == ["a", "b"] * 10
    alone = verdicts_table(*first)
    pd.testing.assert_frame_equal(table[table["network"] == "a"].reset_index(drop=True), alone)


def test_significance_on_the_wrong_side_never_counts():
    table = matrix(both("input_coherence", 0.9) | both("output_coherence", 1.2))
    for name in ("input_coherence", "output_coherence"):
        row = table.loc[("C2", name)]
        assert row["verdict"] == "contradicted"
        assert (row["n_significant"], row["n_wrong_side"]) == (0, 2)
        assert row["direction"] == "failed"
    assert table.loc[("C2", "coherence"), "verdict"] == "mixed"
    assert table.loc[("C2", "coherence"), "n_wrong_side"] == 4
    # one partitioning on either side
    row = matrix({("weights/local", "importance"): 0.8}).loc[("C1", "importance")]
    assert (row["verdict"], row["n_significant"], row["n_wrong_side"]) == ("mixed", 1, 1)


def test_half_of_the_partitionings_is_no_majority():
    row = matrix(insignificant=[("weights/local", "importance")]).loc[("C1", "importance")]
    assert (row["verdict"], row["n_significant"]) == ("mixed", 1)


def test_small_effects_are_negligible_however_significant():
    row = matrix(both("input_coherence", 1.02)).loc[("C2", "input_coherence")]
    assert (row["verdict"], row["n_significant"]) == ("negligible", 2)
    assert row["low"] > 0.99


def test_a_claim_of_coherence_has_the_verdict_that_its_measures_share():
    small = both("class_coherence", 1.01) | both("input_coherence", 1.01)
    assert matrix(small).loc[("C2", "coherence"), "verdict"] == "mixed"
    small |= both("output_coherence", 1.01)
    assert matrix(small).loc[("C2", "coherence"), "verdict"] == "negligible"


def test_checks_of_class_coherence():
    table = matrix(unranked=["weights/local"])
    row = table.loc[("C2", "class_coherence")]
    assert (row["verdict"], row["defined"], row["equal_damage"]) == ("mixed", "failed", "failed")
    assert table.loc[("C4", "class_coherence"), "verdict"] == "supported"
    row = matrix(undefined=0.6).loc[("C2", "class_coherence")]
    assert (row["verdict"], row["undefined_draws"]) == ("undecidable", pytest.approx(0.6))
    assert matrix(undefined=0.6).loc[("C2", "input_coherence"), "verdict"] == "supported"


def test_networks_without_an_effect_are_left_out():
    effects, tests, checks = tables()
    gap = (effects["seed"] == 4) & (effects["partitioning"] == "weights/local")
    effects.loc[gap, "ratio"] = NAN
    row = verdicts_table(effects, tests, checks).set_index(["claim", "measure"])
    row = row.loc[("C1", "importance")]
    assert row["n_networks"] == 4
    assert row["ratio"] == pytest.approx((1.3 + SPREAD[:4]).mean())
    effects["ratio"] = effects["ratio"].where(effects["seed"] == 0)
    table = verdicts_table(effects, tests, checks)
    assert set(table["verdict"]) == {"undecidable"}  # a single network has no interval
    effects["ratio"], tests["effect_ratio"] = NAN, NAN
    table = verdicts_table(effects, tests, checks)
    assert set(table["verdict"]) == {"undecidable"}
    assert table["n_significant"].sum() == table["n_networks"].sum() == 0


def control(low=0.03, high=0.06, lost=()):
    rates = pd.DataFrame({"measure": MEASURES, "low": low, "high": high})
    rates["test"], rates["rule"] = "permutation Fisher", "mid"
    names = ["variation", "partitioning", "measure"]
    variations = ("as on the other pages", "k = 8", "k = 12")
    cells = pd.MultiIndex.from_product([variations, PARTITIONINGS, MEASURES], names=names)
    tried = cells.to_frame(index=False).assign(significant=[cell not in lost for cell in cells])
    return {"a": {"calibration": rates, "sensitivity_tests": tried}}


@pytest.mark.parametrize(
    ("controls", "options", "calibrated", "verdict"),
    [
        (control(), {}, "passed", "supported"),
        (control(0.01, 0.03), {}, "passed", "supported"),  # fewer than promised
        (control(0.06, 0.09), {}, "failed", "mixed"),
        (control(0.0, 0.2), {}, "not made", "supported"),  # too few networks to tell
        (None, {"chain": "independent draws"}, "failed", "mixed"),
    ],
)
def test_calibration(controls, options, calibrated, verdict):
    row = matrix(controls=controls, **options).loc[("C1", "importance")]
    assert (row["calibrated"], row["verdict"]) == (calibrated, verdict)


def test_other_choices():
    one = control(lost=[("k = 8", "weights/local", "importance")])
    row = matrix(controls=one).loc[("C1", "importance")]
    assert (row["other_choices"], row["verdict"]) == ("failed", "mixed")
    assert matrix(controls=one).loc[("C3", "importance"), "other_choices"] == "passed"
    baseline = [("as on the other pages", name, "importance") for name in WEIGHTS]
    row = matrix(controls=control(lost=baseline)).loc[("C1", "importance")]
    assert row["other_choices"] == "passed"  # the first one is no other choice


def test_other_choices_on_the_wrong_side():
    tried = control()
    effects = tried["a"]["sensitivity_tests"][["variation", "partitioning", "measure"]]
    effects = effects.assign(effect_ratio=1.2, favourable="above")
    tried["a"]["sensitivity_effects"] = effects
    assert matrix(controls=tried).loc[("C1", "importance"), "other_choices"] == "passed"
    at = (effects["variation"] == "k = 8") & (effects["partitioning"] == "weights/local")
    effects.loc[at, "effect_ratio"] = 0.8
    assert matrix(controls=tried).loc[("C1", "importance"), "other_choices"] == "failed"


def test_controls_are_read_as_far_as_they_are_published(tmp_path):
    folder = tmp_path / "some" / "tables"
    folder.mkdir(parents=True)
    control()["a"]["calibration"].to_csv(folder / "calibration.csv", index=False)
    controls = read_controls({"a": "some", "b": "none"}, tmp_path)
    assert list(controls["a"]) == ["calibration"]
    assert controls["b"] == {}
    row = matrix(controls=controls).loc[("C1", "importance")]
    assert (row["calibrated"], row["other_choices"]) == ("passed", "not made")
    with pytest.raises(InvalidInputError, match="not a profile's name"):
        read_controls({"a": "../some"}, tmp_path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "book" / "runs").glob("*/tables/verdicts.csv")), ids=lambda p: str(p)
)
def test_published_verdicts_follow_from_published_tables(path):
    published = pd.read_csv(path, keep_default_na=False, dtype=str)
    profile = path.parts[-3]
    read = [
        pd.read_csv(path.with_name(f"{name}.csv"))
        for name in ("effects", "synthesis", "class_coherence_checks")
    ]
    stamps = pd.read_json(path.parents[1] / "stamps.json")["pages"]
    controls = read_controls(stamps["05_synthesis"]["parameters"]["controls"])
    again = format_table(verdicts_table(*read, controls)).astype(str)
    numbers = ["ratio", "low", "high", "low_random", "high_random", "p_equivalent"]
    texts = [name for name in published.columns if name not in [*numbers, "undefined_draws"]]
    pd.testing.assert_frame_equal(published[texts], again[texts])
    for name in numbers[:3]:  # of numbers of four digits
        given = pd.to_numeric(published[name]).to_numpy()
        assert pd.to_numeric(again[name]).to_numpy() == pytest.approx(given, abs=2e-3, nan_ok=True)
    assert set(published["verdict"]) <= set(VERDICTS)
    others = [f"{data}-{run}" for data in ("fashion", "mnist") for run in ("10-seeds", "199-draws")]
    assert profile in ("cifar10-protocol", "digits", "paper", *others)


@pytest.fixture
def shown():
    figures = []
    yield lambda figure: figures.append(figure) or figure.axes
    for figure in figures:
        plt.close(figure)


def test_the_matrix_says_in_words_what_it_shows(shown):
    ratios = both("input_coherence", 0.9) | both("output_coherence", 0.99)
    table = verdicts_table(*tables(ratios))
    (axis,) = shown(plot_verdicts(table))
    texts = [text.get_text() for text in axis.texts]
    assert texts[::2] == table["verdict"].tolist()
    assert "0 of 2 significant\n2 on the wrong side" in texts[2 * 3 + 1]
    faces = [to_hex(patch.get_facecolor()) for patch in axis.patches if type(patch) is Rectangle]
    assert faces == [FACES[word].lower() for word in table["verdict"]]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names[:2] == ["C1 weights\nimportance", "C2 weights\ncoherence,\nall three"]
    assert len(set(FACES.values())) == 4  # that of "mixed" is that of "undecidable": white


def test_texts_of_a_cell():
    row = verdicts_table(*tables(unranked=["weights/local"])).iloc[2]
    texts = verdict_texts(row)
    assert texts["ratio"] == "1.30 [1.28, 1.32]"
    assert texts["tests"] == "2 of 2 significant"
    checks = texts["checks"].replace("\N{NO-BREAK SPACE}", " ")
    assert checks == "side ✓ defined ✗ damage ✗ calibrated ? choices ?"
    assert row_name(row["claim"], row["measure"]) == "C2 weights: class coherence"
    row = verdicts_table(*tables()).iloc[1]
    assert verdict_texts(row)["ratio"] == verdict_texts(row)["checks"] == ""


def test_a_cell_says_the_same_of_a_table_and_of_its_file():
    row = verdicts_table(*tables()).iloc[2].to_dict()
    row |= {"ratio": 1.5153, "low": 1.4049, "high": 1.62496}
    written = {name: float(format_number(row[name])) for name in ("ratio", "low", "high")}
    assert verdict_texts(row) == verdict_texts(row | written)
    assert verdict_texts(row)["ratio"] == "1.51 [1.41, 1.62]"


WRONG = {("weights/global", "importance"): 0.9, ("weights/local", "output_coherence"): 1.1}


def test_no_figure_shows_significance_on_the_wrong_side_as_support(shown):
    table = tables(WRONG | {("activations/local", "importance"): NAN})[1]
    is_there = on_favourable_side(table)
    assert (~is_there).sum() == 3
    axis, _ = shown(plot_p_value_map(table))
    colours = np.ma.filled(axis.images[0].get_array(), np.nan)
    at = [(0, 0), (1, 3), (3, 0)]
    assert np.argwhere(np.isnan(colours)).tolist() == [list(place) for place in at]
    texts = {text.get_position()[::-1]: text.get_text() for text in axis.texts}
    assert {texts[place] for place in at} == {"0.0001†"}
    assert {text for place, text in texts.items() if place not in at} == {"0.0001*"}
    importance, *_, entropy = shown(plot_effect_forest(table))
    for panel, wrong in ((importance, 0), (entropy, 1)):
        points = panel.collections[-2]
        edges = [to_hex(colour) for colour in points.get_edgecolor()]
        faces = [to_hex(colour) for colour in points.get_facecolor()]
        assert (edges[wrong], faces[wrong]) == (PINK.lower(), "#ffffff")
        assert edges[2] == faces[2] == GREEN.lower()
    table["verdict"] = "not significant"
    importance = shown(plot_effect_forest(table))[0]
    colours = {to_hex(colour) for colour in importance.collections[-2].get_edgecolor()}
    assert colours == {BLUE.lower()}
