# Suture. `make help` lists the targets; every one sets up what it needs first.
# Another interpreter: make PYTHON=python3.13 test

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.suture-set-up
PEERS := build/peers
PYTEST_ARGS ?=
MINUTES ?= 5
CAMPAIGN_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo run test test-slow test-all bench bench-reading fuzz campaign test-peers lint types architecture check format docs wheel lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment and install the locked packages (other targets do it by themselves)

$(STAMP): requirements.lock pyproject.toml
	@sh .ci/set-up "$(PYTHON)" "$(VENV)"
	@touch $(STAMP)

demo: $(STAMP) ## a surgical day through the engine and simulated ERP, billing and analytics, then the balance
	@$(BIN)/suture demo

run: $(STAMP) ## the same engine and simulators, left running, to try the commands on (Ctrl-C ends it)
	@$(BIN)/python -m suture.sim.stay demo-site

test: $(STAMP) ## the tests, without the slow ones
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(STAMP) ## the slow tests alone: crash, load and memory
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-all: $(STAMP) ## all the tests
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(STAMP) ## both workloads on SQLite and PostgreSQL: one table, one JSON
	@$(BIN)/python -m bench

bench-reading: $(STAMP) ## reading a message, beside python-hl7 and hl7apy; very large messages
	@$(BIN)/python -m bench.reading

fuzz: $(STAMP) ## look for bytes that Suture cannot stand (minutes: make fuzz MINUTES=60)
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

campaign: $(STAMP) ## attack an engine on both databases, and hold it to its promises (an hour: make campaign MINUTES=60)
	@$(BIN)/python -m tests.campaign --minutes $(MINUTES) $(CAMPAIGN_ARGS)

test-peers: $(STAMP) ## other programs that speak MLLP, installed with npm, each with 1,000 messages (a few minutes; not in CI)
	@command -v npm >/dev/null || { echo "test-peers needs Node 20 or newer with npm (Debian: apt install nodejs npm)" >&2; exit 1; }
	@mkdir -p $(PEERS) && cp tests/peers/package.json tests/peers/package-lock.json tests/peers/*.mjs $(PEERS)/
	@cd $(PEERS) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@$(BIN)/python -m pytest tests/peers/check_peers.py $(PYTEST_ARGS)

check: lint types architecture ## format, lint, types, import directions

lint: $(STAMP) ## ruff: format and rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(STAMP) ## mypy
	@$(BIN)/mypy

architecture: $(STAMP) ## import directions and size budgets
	@$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(STAMP) ## let ruff lay out the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(STAMP) ## write docs/reference/ and the picture of the rooms from the code
	@$(BIN)/python docs/make_reference.py
	@$(BIN)/python docs/rooms.py

wheel: $(STAMP) ## build dist/suture-*.whl
	@rm -f dist/suture-*.whl
	@$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --no-build-isolation -w dist .
	@ls -l dist/

lock: $(STAMP) ## renew requirements.lock with the newest releases that pyproject.toml allows
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --extra postgres --extra sqlite --extra test --extra bench --extra dev \
	    --generate-hashes --no-annotate --no-header --quiet --output-file requirements.new
	@{ sed -n '/^#/p;/^#/!q' requirements.lock; cat requirements.new; } > requirements.tmp
	@rm requirements.new && mv requirements.tmp requirements.lock
	@echo "requirements.lock renewed: run make check test-all, then commit it"

clean: ## remove what the targets made (not the virtual environment's Python packages: rm -r .venv for those)
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis bench/results $(STAMP)
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
