# Needs make and Python >= 3.11 only: everything else is installed into .venv by the first target
# that wants it. `make help` lists the targets.

PROFILE ?= digits
# how many pages run side by side
CORES ?= 2
PORT ?= 8000
# the first of these names that is a Python >= 3.11
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
# exec: make, not a shell, is then the parent whose end the runs watch; the shell knows its number
RUN = @exec $(VENV_PYTHON) tools/run.py --parent $(shell echo $$PPID) --cores $(CORES) $(if $(VERBOSE),--verbose)

.DEFAULT_GOAL := help
.PHONY: help book test run publish serve bench lint sync clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; \
		do printf '%-16s%s\n' "$$target" "$$what"; done

book: $(INSTALLED) ## run the digits profile, publish it in place, build the book
	$(RUN) digits
	@$(VENV_PYTHON) tools/publish.py digits
	@$(VENV_PYTHON) tools/build_book.py

test: $(INSTALLED) ## run every test
	@$(VENV_PYTHON) -m pytest

run: $(INSTALLED) ## run the pages of PROFILE (digits) that are not current
	$(RUN) "$(PROFILE)"

publish: $(INSTALLED) ## copy the results of PROFILE (digits), or of its PAGES, into book/runs/
	@$(VENV_PYTHON) tools/publish.py "$(PROFILE)" $(PAGES)

serve: $(INSTALLED) ## serve the built book to this machine only, at PORT (8000)
	@exec $(VENV_PYTHON) tools/serve.py "$(PORT)"

bench: $(INSTALLED) ## run the benchmarks
	@for name in clustering correlations lesions training visualization; do \
		$(VENV_PYTHON) benchmarks/$$name.py || exit 1; done

lint: $(INSTALLED) ## check style, the order of modules, and the notebooks
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(VENV_PYTHON) tools/notebooks.py check

sync: $(INSTALLED) ## make notebooks/*.ipynb from their .md twins
	@$(VENV_PYTHON) tools/notebooks.py sync

clean: ## remove what was built and computed, except .venv
	rm -rf _build results .pytest_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" tools/bootstrap.py
