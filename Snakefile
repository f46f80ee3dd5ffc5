# The grid: the networks of a profile, its pages, and for each page that has them the jobs of its
# networks and seeds. Snakemake orders the jobs, runs them side by side and takes up where it was
# stopped. No date decides: `localspec run` removes the records of pages and jobs that are not
# current, and what has no record is run; what is computed again is decided by the cache of
# artifacts alone.
#
# `localspec run` and `localspec train` call it with its working directory in the results folder.
import os
import shlex
import sys
from pathlib import Path

from localspec.cli import _start
from localspec.cli._grid import REPLICATED, TRAINED, replicates_of
from localspec.pipeline import load_profile

ROOT = Path(workflow.basedir)
PROFILE_FILE = Path(*config.get("profile", [ROOT, "notebooks", "profiles", "digits.yml"]))
PROFILE, NAME = load_profile(PROFILE_FILE), PROFILE_FILE.stem
PENDING = [(network, int(seed)) for network, seed in config.get("pending", [])]
JOBS = f"{NAME}/.jobs"
CORES = int(config.get("cores", 1))  # of a training whose network does not say
RESULTS = os.getcwd()
# jobs of this machine watch the end of this process; those of a cluster end with their batch job
WATCHED = ["-P", _start.__file__, str(os.getpid())]
START = shlex.join(WATCHED if config.get("local", True) else ["-m", "localspec.cli"])
JOB = (
    "exec > {log:q} 2>&1; export LOCALSPEC_RESULTS={RESULTS:q} "
    "OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads}; "
    "cd {ROOT:q}; exec {sys.executable:q} {START} job {PROFILE_FILE:q} "
)


def asked(kind):
    # what a kind of job asks of a cluster
    return PROFILE.resources[kind].model_dump(exclude_none=True) if kind in PROFILE.resources else {}


def mark(network, seed):
    return f"{NAME}/.trained/{network}/{seed}"


def trained(pairs):
    return [mark(*pair) for pair in pairs if pair in PENDING]


def needed_by_page(wildcards):
    page = wildcards.page
    if Path(f"{NAME}/{page}.json").exists() and not config.get("report"):
        return []  # it is current, whatever happens to the others
    pairs = replicates_of(PROFILE, page)
    if page in REPLICATED:
        return [f"{JOBS}/{page}/{network}/{seed}.json" for network, seed in pairs]
    return trained(pairs) if page in TRAINED else []


def needed_by_job(wildcards):
    pair = (wildcards.network, int(wildcards.seed))
    before = REPLICATED[: REPLICATED.index(wildcards.page)]
    before = [page for page in before if page in PROFILE.pages and pair in replicates_of(PROFILE, page)]
    # the last one: what it stored is used, and computed by one of both only
    return trained([pair]) + [f"{JOBS}/{page}/{pair[0]}/{pair[1]}.json" for page in before[-1:]]


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
    network="[^/]+",
    seed=r"\d+",


rule all:
    input:
        expand("{profile}/{page}.json", profile=NAME, page=PROFILE.pages),


rule page:
    input:
        needed_by_page,
    output:
        marker=f"{NAME}/{{page}}.json",
        notebook=f"{NAME}/{{page}}.ipynb",
    log:
        f"{JOBS}/{{page}}.log",
    threads: 1  # pages run side by side; small networks gain nothing from more
    resources:
        **asked("page"),
    shell:
        JOB + "{wildcards.page:q}"


rule replicate:
    input:
        needed_by_job,
    output:
        record=f"{JOBS}/{{page}}/{{network}}/{{seed}}.json",
        notebook=f"{JOBS}/{{page}}/{{network}}/{{seed}}.ipynb",
    log:
        f"{JOBS}/{{page}}/{{network}}/{{seed}}.log",
    threads: 1
    resources:
        **asked("replicate"),
    shell:
        JOB + "{wildcards.page:q}/{wildcards.network:q}/{wildcards.seed}"


rule trained:
    input:
        trained(PENDING),


rule train:
    input:
        network_before,
    output:
        touch(mark("{network}", "{seed}")),
    log:
        f"{JOBS}/train/{{network}}/{{seed}}.log",
    threads: lambda wildcards: PROFILE.networks[wildcards.network].n_threads or CORES
    resources:
        **asked("train"),
    shell:
        JOB + "train/{wildcards.network:q}/{wildcards.seed}"
