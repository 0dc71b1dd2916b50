# `make help` lists the targets. Only Python and make must be installed.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo ui test test-full lint lock lock-check vulnerabilities clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

install: $(STAMP) ## make the virtual environment with the pinned versions

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Expected Python 3.11, 3.12 or 3.13 (make PYTHON=python3.12). Received: %d.%d" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

demo: $(STAMP) ## train, evaluate and save a first classifier on embedded data (about two minutes)
	$(RUN) run.py
	@echo
	@echo "The runs are under outputs/runs. 'make ui' shows them in the browser."

ui: $(STAMP) ## show the runs under outputs/ in the browser
	$(VENV)/bin/headstart ui

test: $(STAMP) ## run the fast tests (under eight minutes on two cores)
	$(RUN) -m pytest -n 2 --dist worksteal -m "not slow"

# Tests of OpenVINO, ONNX and the web page are skipped unless installed: $(VENV)/bin/pip install -e '.[openvino,onnx,demo]'
test-full: $(STAMP) ## run all tests, including the slow ones
	$(RUN) -m pytest -n 2 --dist worksteal

lint: $(STAMP) ## check style, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

lock: ## pin the newest versions that resolve together (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file requirements.lock

lock-check: ## compare requirements.lock with what resolves today (needs uv); shows the difference
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file - | diff requirements.lock -

vulnerabilities: ## look the pinned versions up in a database of vulnerabilities (needs pip-audit and a network)
	pip-audit --requirement requirements.lock --no-deps --disable-pip

clean: ## remove the environment and what the tools leave; outputs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build src/*.egg-info
