# Needs make and Python >= 3.11 only: everything else is installed into .venv by the first target
# that wants it. `make help` lists the targets.

PROFILE ?= digits
# how many processor cores a run uses
CORES ?= 2
# where its jobs run: a folder of profiles
WORKFLOW ?= local
PORT ?= 8000
# the first of these names that is a Python >= 3.11
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# recipes read them as "$$PROFILE", so that the shell runs nothing that stands in them
export PROFILE PAGES CORES JOBS WORKFLOW PORT

VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
LAB := .venv/bin/jupyter-lab
LOCALSPEC := $(VENV_PYTHON) -m localspec.cli
# DRY=1 says what a run would do and take; VERBOSE=1 shows what Snakemake says
OPTIONS := --cores "$$CORES" $(if $(JOBS),--jobs "$$JOBS") --workflow "$$WORKFLOW"
OPTIONS += $(if $(VERBOSE),--verbose)
# exec: make, not a shell, is then the parent whose end the run watches
GRID := exec $(VENV_PYTHON) -P lib/localspec/cli/_start.py $$PPID

.DEFAULT_GOAL := help
.PHONY: help book site whole links test run report train publish serve lab test-cluster bench lint sync colab lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; \
		do printf '%-16s%s\n' "$$target" "$$what"; done

book: $(INSTALLED) ## run the digits profile, publish it in place, build the book
	@$(GRID) run $(OPTIONS) digits
	@$(LOCALSPEC) publish digits
	@$(MAKE) --no-print-directory site

site: $(INSTALLED) ## build the book from the pages that are published, without running any
	@rm -rf _build
	@.venv/bin/jupyter-book build . --path-output . -q -W -n --keep-going

whole: $(INSTALLED) ## after make site: add the book as one page and as PDF (needs Chromium)
	@$(VENV_PYTHON) book/whole.py _build/html

links: $(INSTALLED) ## open every link of the book
	@.venv/bin/jupyter-book build . --path-output _build/links -q --builder linkcheck

test: $(INSTALLED) ## run every test
	@case "$$CORES" in ''|0*|*[!0-9]*) \
		echo "CORES='$$CORES' is not allowed: give a whole number from 1 on" >&2; exit 1 ;; esac
	@# one worker more than cores, since some tests wait for other programs; one thread each: several
	@# fight for the cores, and convolutions take ten times as long
	@OMP_NUM_THREADS=1 exec $(VENV_PYTHON) -m pytest -n "$$((CORES + 1))" --dist loadfile

run: $(INSTALLED) ## run the pages of PROFILE (digits) that are not current; DRY=1 only says what
	@$(GRID) run $(OPTIONS) $(if $(DRY),--dry) -- "$$PROFILE"

report: $(INSTALLED) ## write what the last run of PROFILE (digits) did into results/
	@$(LOCALSPEC) report -- "$$PROFILE"

train: $(INSTALLED) ## train the networks of PROFILE (digits) that are not stored yet
	@$(GRID) train $(OPTIONS) -- "$$PROFILE"

publish: $(INSTALLED) ## copy the results of PROFILE (digits), or of its PAGES, into book/runs/
	@set -f; exec $(LOCALSPEC) publish -- "$$PROFILE" $$PAGES

serve: $(INSTALLED) ## serve the built book to this machine only, at PORT (8000)
	@exec $(LOCALSPEC) serve --port "$$PORT"

lab: $(LAB) ## open the notebooks in Jupyter Lab
	@exec $(LAB) notebooks

test-cluster: $(INSTALLED) ## run digits through a Slurm on this machine, and compare (as root)
	@exec $(VENV_PYTHON) tests/cluster/cluster.py

bench: $(INSTALLED) ## run the benchmarks
	@for name in clustering correlations lesions training visualization weight_graphs growth full_grid; do \
		$(VENV_PYTHON) benchmarks/$$name.py || exit 1; done

lint: sync ## check style, the order of modules, and that the notebooks are committed as they are
	@git rev-parse --git-dir > /dev/null || { \
		echo "lint compares the notebooks with git's index: run it in a clone" >&2; exit 1; }
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@.venv/bin/lint-imports
	@git --no-pager diff --exit-code --stat notebooks/*.ipynb

sync: $(INSTALLED) ## make notebooks/*.ipynb from their .md twins, without outputs
	@$(VENV_PYTHON) -m jupytext --quiet --to ipynb --update notebooks/*.md
	@$(VENV_PYTHON) -m nbstripout --keep-id notebooks/*.ipynb

colab: $(INSTALLED) ## write notebooks/colab, once _config.yml has the repository's address
	@$(VENV_PYTHON) book/colab.py

lock: $(INSTALLED) ## write requirements.lock anew from pyproject.toml (needs uv)
	@{ echo '# The exact versions tested, for every platform, with the hashes of their files. Made by `make lock`;'; \
		echo '# do not edit. PyTorch stands in requirements-torch.txt.'; \
		uv pip compile --quiet --universal --no-annotate --no-header --generate-hashes \
		--python-version 3.11 --extra book --extra slurm --extra test \
		--constraint requirements-torch.txt pyproject.toml | \
		awk '/^[^ ]/ { kept = !/^(torch|torchvision|triton|nvidia|cuda)[-=]/ } kept'; } > .requirements.lock.part
	@mv .requirements.lock.part requirements.lock

clean: ## remove what was built and computed, except .venv
	rm -rf _build results .pytest_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# An interrupted installation is started anew: the stamp is written last.
$(INSTALLED): export FOUND = $(PYTHON)
$(INSTALLED): requirements.lock requirements-torch.txt pyproject.toml
	@test -n "$$FOUND" || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "installing into .venv, which takes minutes: from PyPI, PyTorch for Linux is the build with CUDA, several GB; for the build without, of 200 MB, interrupt, set PIP_EXTRA_INDEX_URL to the CPU index that PyTorch's installation page names, and start again"
	@"$$FOUND" -m venv --clear .venv
	@$(VENV_PYTHON) -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(VENV_PYTHON) -m pip install --quiet -r requirements-torch.txt
	@$(VENV_PYTHON) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(LAB): | $(INSTALLED)
	@$(VENV_PYTHON) -m pip install --quiet --no-build-isolation -e '.[lab]'
