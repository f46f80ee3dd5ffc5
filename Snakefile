# The grid: the pages of a profile, and the training of its networks. Snakemake orders the jobs,
# runs them side by side and takes up where it was stopped. No date decides: `localspec run` removes
# the markers of pages that are not current, and what has no marker is run; what is computed again
# is decided by the cache of artifacts alone.
#
# `localspec run` and `localspec train` call it with its working directory in the results folder.
import os
import sys
from pathlib import Path

from localspec.pipeline import load_profile

ROOT = Path(workflow.basedir)
PROFILE_FILE = Path(config.get("profile", ROOT / "notebooks" / "profiles" / "digits.yml"))
PROFILE, NAME = load_profile(PROFILE_FILE), PROFILE_FILE.stem
PENDING = [(network, int(seed)) for network, seed in config.get("pending", [])]
NEEDS = {
    "02_clustering": ["01_training"],
    "03_importance": ["02_clustering"],
    "04_coherence": ["02_clustering"],
    "05_synthesis": ["03_importance", "04_coherence"],
}
RUN = os.getpid()  # whose end its jobs watch
JOB = (
    "exec > {log:q} 2>&1; "
    "export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads}; "
    "cd {ROOT:q}; exec {sys.executable:q} -m localspec.cli --parent {RUN} job {PROFILE_FILE:q} "
)


def earlier_pages(wildcards):
    if Path(f"{NAME}/{wildcards.page}.json").exists():
        return []  # it is current, whatever happens to the others
    needed = [page for page in NEEDS.get(wildcards.page, []) if page in PROFILE.pages]
    return [f"{NAME}/{page}.json" for page in needed]


def mark(network, seed):
    return f"{NAME}/.trained/{network}/{seed}"


def network_before(wildcards):
    # A network and its pruned forms continue one another: they are trained in this order.
    def trained_weights(network):
        return PROFILE.networks[network].training_key()

    seed = int(wildcards.seed)
    forms = [
        network
        for network, pending_seed in PENDING
        if pending_seed == seed and trained_weights(network) == trained_weights(wildcards.network)
    ]
    forms.sort(key=lambda network: PROFILE.networks[network].n_pruning_epochs)
    before = forms[: forms.index(wildcards.network)]
    return [mark(network, seed) for network in before[-1:]]


wildcard_constraints:
    page="|".join(PROFILE.pages),
    seed=r"\d+",


rule all:
    input:
        expand("{profile}/{page}.json", profile=NAME, page=PROFILE.pages),


rule page:
    input:
        earlier_pages,
    output:
        marker=f"{NAME}/{{page}}.json",
        notebook=f"{NAME}/{{page}}.ipynb",
    log:
        f"{NAME}/.jobs/{{page}}.log",
    threads: 1  # pages run side by side; small networks gain nothing from more
    shell:
        JOB + "{wildcards.page:q}"


rule trained:
    input:
        [mark(network, seed) for network, seed in PENDING],


rule train:
    input:
        network_before,
    output:
        touch(mark("{network}", "{seed}")),
    log:
        f"{NAME}/.jobs/train/{{network}}/{{seed}}.log",
    threads: lambda wildcards: PROFILE.networks[wildcards.network].n_threads or workflow.cores
    shell:
        JOB + "train/{wildcards.network:q}/{wildcards.seed}"
