"""Write book/verdict_rule.csv: how often the rule of the verdicts errs, in simulated worlds.

Run from the root of the project: .venv/bin/python book/verdict_rule.py
"""

from pathlib import Path

import pandas as pd
from tqdm import tqdm

from localspec.pipeline import format_table
from localspec.studies.calibration import (
    AT_RANDOM,
    PLANTED_HALVES,
    simulated_verdicts,
    verdict_rates_table,
)

N_WORLDS = {AT_RANDOM: 500, PLANTED_HALVES: 100}
LEVEL = 0.05


def main() -> None:
    """Simulate all worlds and write the table."""
    verdicts = [
        simulated_verdicts(world, [index], level=LEVEL)
        for world, n_worlds in N_WORLDS.items()
        for index in tqdm(range(n_worlds), desc=world)
    ]
    table = format_table(verdict_rates_table(pd.concat(verdicts, ignore_index=True)))
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
