"""Verdicts on the paper's claims: a matrix of claims, networks and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from localspec._utils.files import project_root
from localspec._utils.validation import check_real, check_type
from localspec.measures import MEASURES
from localspec.pipeline._profile import check_name
from localspec.pipeline._replicate import PARTITIONINGS, Replicate
from localspec.pipeline._synthesis import MEASURE, SIGNIFICANT, on_favourable_side
from localspec.statistics import (
    EQUIVALENCE_MARGIN,
    MIXED,
    crossed_interval,
    equivalence_p,
    judgement,
    summarize_effects,
    t_interval,
    verdict,
)

COHERENCE = "coherence"  # a row of all three measures of it
# what each claim of the paper's abstract is about: graph, measures
CLAIMS = {
    "C1": ("weights", MEASURES[:1]),
    "C2": ("weights", MEASURES[1:]),
    "C3": ("activations", MEASURES[:1]),
    "C4": ("activations", MEASURES[1:]),
}
VERDICT_CHECKS = ("direction", "defined", "equal_damage", "calibrated", "other_choices")
PASSED, FAILED, NOT_MADE = "passed", "failed", "not made"  # empty: does not concern the measure
CONTROL_TABLES = ("calibration", "sensitivity_tests", "sensitivity_effects")
NUMBERS = ["ratio", "low", "high", "low_random", "high_random", "p_equivalent"]
COUNTS = ["n_significant", "n_wrong_side", "n_tests"]
COLUMNS = [
    "claim",
    "measure",
    "network",
    "verdict",
    *NUMBERS,
    "favourable",
    *COUNTS,
    "n_networks",
    "undefined_draws",
    *VERDICT_CHECKS,
]


def effects_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return mean effects and null means of every trained network.

    Parameters
    ----------
    replicates : sequence of Replicate

    Returns
    -------
    pandas.DataFrame
        One row a network, seed, partitioning and measure: ``effect``, the mean over its
        subclusters, ``effect_null``, what this is on average for its permuted partitions, and
        ``ratio`` of the two; empty where undefined.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Effect size".
    """
    rows = []
    for replicate in replicates:
        for partitioning in PARTITIONINGS:
            for name in MEASURES:
                effects = summarize_effects([replicate.assessment(name, partitioning).effects])
                rows.append(
                    {
                        "network": replicate.network,
                        "seed": replicate.seed,
                        "partitioning": partitioning,
                        "measure": name,
                        "effect": effects.mean,
                        "effect_null": effects.null_mean,
                        "ratio": effects.ratio,
                    }
                )
    return pd.DataFrame(rows)


def read_controls(controls: Mapping[str, str], folder: Path | None = None) -> dict[str, dict]:
    """Read what published controls say of networks.

    Parameters
    ----------
    controls : mapping of str to str
        By network the profile in which false alarms of its tests were counted and other choices
        were tried: that of its pages 07_calibration and 08_sensitivity.
    folder : Path, optional
        Where profiles are published; by default ``book/runs`` of the project.

    Returns
    -------
    dict of str to dict of str to pandas.DataFrame
        By network, then by name, those of `CONTROL_TABLES` that are published.
    """
    folder = project_root() / "book" / "runs" if folder is None else folder
    tables: dict[str, dict] = {}
    for network, profile in controls.items():
        paths = {
            name: folder / check_name("profile", profile) / "tables" / f"{name}.csv"
            for name in CONTROL_TABLES
        }
        tables[network] = {
            name: pd.read_csv(path) for name, path in paths.items() if path.is_file()
        }
    return tables


def verdicts_table(
    effects: pd.DataFrame,
    synthesis: pd.DataFrame,
    coherence_checks: pd.DataFrame,
    controls: Mapping[str, Mapping[str, pd.DataFrame]] | None = None,
    *,
    level: float = 0.05,
) -> pd.DataFrame:
    """Return the verdicts on the paper's claims: one row a claim, measure and network.

    Parameters
    ----------
    effects : pandas.DataFrame
        From :func:`effects_table`.
    synthesis : pandas.DataFrame
        From :func:`localspec.pipeline.synthesis_table`.
    coherence_checks : pandas.DataFrame
        From :func:`localspec.pipeline.coherence_checks_table`.
    controls : mapping, optional
        From :func:`read_controls`; checks of networks that are not in it are not made.
    level : float, optional
        Of the test of equivalence, and that at which false alarms were counted.

    Returns
    -------
    pandas.DataFrame
        ``ratio``: effect over null mean, averaged over a claim's partitionings in each trained
        network and then over networks, with Student's 95 % interval ``low`` to ``high`` over
        networks, by which the verdict goes. ``low_random`` to ``high_random``: with partitionings
        taken as random, too. ``p_equivalent``: that the ratio is 1, within
        `localspec.statistics.EQUIVALENCE_MARGIN`. ``n_significant`` of ``n_tests`` partitionings
        are significant after correction with a ratio on the ``favourable`` side of 1, and
        ``n_wrong_side`` are so on the other side, which never counts. ``n_networks`` have an effect
        in every partitioning. Checks are "passed", "failed", "not made", or empty where they do
        not concern the measure. A row of the measure "coherence" has the verdict that its three
        measures share, or "mixed".

    Notes
    -----
    Checks: ``direction``, the ratio lies on the favourable side in every partitioning;
    ``defined`` and ``equal_damage``, of class coherence, more than half of the partitionings are
    significant, with a ratio on the favourable side, when ranked in that way; ``calibrated``, one
    permutation draws all counterparts, and where false alarms were counted there are not too many;
    ``other_choices``, more than half of the partitionings are significant under every other choice
    that was tried, with the effect on the favourable side where that was published. See
    :func:`localspec.statistics.verdict` for the rule.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Verdicts".
    """
    for name, table in (("effects", effects), ("synthesis", synthesis)):
        check_type(name, table, pd.DataFrame, "the functions of localspec.pipeline return it")
    check_type("coherence_checks", coherence_checks, pd.DataFrame, "coherence_checks_table(...)")
    check_real("level", level, 0, 1)
    rows = []
    for network in dict.fromkeys(synthesis["network"]):
        tables = [
            table[table["network"] == network] for table in (effects, synthesis, coherence_checks)
        ]
        control = (controls or {}).get(network, {})
        for claim, (graph, measures) in CLAIMS.items():
            about = [table[table["partitioning"].str.startswith(graph)] for table in tables]
            cells = [_cell(name, *about, control, level) for name in measures]
            if len(cells) > 1:
                cells.insert(0, _together(cells))
            rows += [{"claim": claim, "network": network, **cell} for cell in cells]
    table = pd.DataFrame(rows)
    order = [(claim, name) for claim, (_, of) in CLAIMS.items() for name in (COHERENCE, *of)]
    position = [order.index(key) for key in zip(table["claim"], table["measure"], strict=True)]
    return table.iloc[np.argsort(position, kind="stable")][COLUMNS].reset_index(drop=True)


def _cell(
    name: str,
    effects: pd.DataFrame,
    synthesis: pd.DataFrame,
    coherence_checks: pd.DataFrame,
    control: Mapping[str, pd.DataFrame],
    level: float,
) -> dict:
    """Return one measure's row of one network and the partitionings of one graph."""
    tests = synthesis[synthesis["measure"] == name].set_index("partitioning")
    effects = effects[effects["measure"] == name]
    ratios = effects.pivot(index="seed", columns="partitioning", values="ratio")[tests.index]
    complete = ratios[ratios.notna().all(axis=1)]
    of_networks = complete.mean(axis=1).to_numpy()
    favourable = tests["favourable"].iloc[0]
    interval = t_interval(of_networks)
    equivalence = equivalence_p(of_networks, 1.0, EQUIVALENCE_MARGIN)
    crossed = crossed_interval(complete.to_numpy())
    is_there = on_favourable_side(tests)
    significant = tests["verdict"] == SIGNIFICANT
    n_significant, undefined = int((significant & is_there).sum()), 0.0
    checks: dict[str, bool | None] = {"direction": bool(is_there.all())}
    if name == MEASURE:
        ranked = coherence_checks.set_index("partitioning").loc[tests.index]
        undefined = float(ranked["undefined_draws"].mean())
        for check in ("defined", "equal_damage"):
            holds = (ranked[f"verdict_{check}"] == SIGNIFICANT) & is_there
            checks[check] = bool(2 * holds.sum() > len(holds))
    checks["calibrated"] = _is_calibrated(name, tests, control.get("calibration"), level)
    checks["other_choices"] = _survives(name, list(tests.index), control)
    return {
        "measure": name,
        "verdict": verdict(
            interval,
            equivalence,
            favourable,
            n_significant=n_significant,
            n_tests=len(tests),
            checks=list(checks.values()),
            undefined=undefined,
            level=level,
        ),
        "ratio": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "low_random": crossed.low,
        "high_random": crossed.high,
        "p_equivalent": equivalence,
        "favourable": favourable,
        "n_significant": n_significant,
        "n_wrong_side": int((significant & ~is_there).sum()),
        "n_tests": len(tests),
        "n_networks": interval.n,
        "undefined_draws": undefined,
        **{check: _in_a_word(checks[check]) if check in checks else "" for check in VERDICT_CHECKS},
    }


def _in_a_word(passed: bool | None) -> str:
    return NOT_MADE if passed is None else PASSED if passed else FAILED


def _together(cells: Sequence[Mapping]) -> dict:
    """Return the row of several measures: the verdict that they share, and sums of counts."""
    words = {cell["verdict"] for cell in cells}
    return {
        "measure": COHERENCE,
        "verdict": words.pop() if len(words) == 1 else MIXED,
        **dict.fromkeys([*NUMBERS, "undefined_draws"], float("nan")),
        "favourable": "",
        **{count: sum(cell[count] for cell in cells) for count in COUNTS},
        "n_networks": max(cell["n_networks"] for cell in cells),
        **dict.fromkeys(VERDICT_CHECKS, ""),
    }


def _is_calibrated(
    name: str, tests: pd.DataFrame, rates: pd.DataFrame | None, level: float
) -> bool | None:
    """Say whether the level of the tests is assured and, where measured, kept."""
    if (tests["chain"] != "calibrated").any():
        return False
    if rates is None:
        return None
    chosen = (rates["test"] == "permutation Fisher") & (rates["rule"] == "mid")
    rows = rates[chosen & (rates["measure"] == name)]
    if rows.empty:
        return None
    said = judgement(float(rows["low"].iloc[0]), float(rows["high"].iloc[0]), level)
    return {"too often": False, "open": None}.get(said, True)


def _survives(
    name: str, partitionings: list[str], control: Mapping[str, pd.DataFrame]
) -> bool | None:
    """Say whether more than half of the tests are significant under every other choice."""
    tried = control.get("sensitivity_tests")
    if tried is None:
        return None
    others = tried[tried["variation"] != tried["variation"].iloc[0]]  # the first changes nothing
    rows = others[(others["measure"] == name) & others["partitioning"].isin(partitionings)]
    if rows.empty:
        return None
    if "sensitivity_effects" in control:  # pages that were published earlier have none
        keys = ["variation", "partitioning", "measure"]
        rows = rows.merge(control["sensitivity_effects"], on=keys, validate="one_to_one")
        rows["significant"] &= on_favourable_side(rows)
    shares = rows.groupby("variation")["significant"].mean()
    return bool((shares > 0.5).all())
