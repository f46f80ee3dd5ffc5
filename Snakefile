# The grid: profile -> notebook runs. Snakemake orders the pages, runs them side by side and takes
# up where it was stopped; what is computed again is decided by the cache of artifacts alone.
#
# `make run PROFILE=digits` calls it with its working directory in the results folder.
import sys
from pathlib import Path

from localspec.profiles import load_profile

ROOT = Path(workflow.basedir)
PROFILE = config.get("profile", "digits")
LOADED = load_profile(ROOT / "notebooks" / "profiles" / f"{PROFILE}.yml")
PAGES = LOADED.pages
NEEDS = {
    "02_clustering": ["01_training"],
    "03_importance": ["02_clustering"],
    "04_coherence": ["02_clustering"],
    "05_synthesis": ["03_importance", "04_coherence"],
}
EXAMPLES = sorted(map(str, (ROOT / "notebooks" / "examples").glob("*.py")))
LIBRARY = sorted(
    str(path)
    for path in (ROOT / "lib" / "localspec").rglob("*")
    if path.suffix in {".py", ".csv", ".css", ".js", ".jinja", ".mplstyle"}
)


def earlier_pages(wildcards):
    needed = [page for page in NEEDS.get(wildcards.page, []) if page in PAGES]
    return [f"{PROFILE}/{page}.json" for page in needed]


wildcard_constraints:
    page="|".join(PAGES),


rule all:
    input:
        expand("{profile}/{page}.json", profile=PROFILE, page=PAGES),


rule page:
    input:
        notebook=str(ROOT / "notebooks" / "{page}.ipynb"),
        profile=[str(path) for path in LOADED.files],  # its own and those that it extends
        examples=lambda wildcards: EXAMPLES if wildcards.page == "your_network" else [],
        library=LIBRARY,
        earlier=earlier_pages,
    output:
        marker=f"{PROFILE}/{{page}}.json",
        notebook=f"{PROFILE}/{{page}}.ipynb",
    params:
        python=sys.executable,
        tool=str(ROOT / "tools" / "run_page.py"),
    threads: 1  # pages run side by side; small networks gain nothing from more
    shell:
        "export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads}; "
        # bash's own word for its parent where tools/run.py is not the one who calls Snakemake
        "exec {params.python:q} {params.tool:q} --parent ${{LOCALSPEC_RUN:-$PPID}} "
        "{PROFILE:q} {wildcards.page:q}"
