# pilotlight: the front door.  `make` lists what there is; each target does its own set-up.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CONSTRAINTS := constraints.txt
ARGS ?=

.PHONY: help setup demo chaos test test-all test-live test-backends test-django test-django-newest test-langchain test-langchain-versions test-recipes lint types format bench bench-peers bench-docs soak docs site dist test-pythons constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-23s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One environment for everything, made with uv when it is there and with pip when it is not.
$(READY): pyproject.toml packages/pilotlight/pyproject.toml chaos/pyproject.toml plugins/django/pyproject.toml plugins/fastapi/pyproject.toml plugins/langchain/pyproject.toml plugins/llm/pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pilotlight needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) tools/setup_env.py --python $(PYTHON) $(VENV) $(CONSTRAINTS)
	@touch $@

setup: $(READY) ## Make .venv with everything in it

demo: $(READY) ## Watch calls survive an outage (about 20 s); ARGS="--report demo.html"
	@$(BIN)/pilotlight demo $(ARGS)

chaos: $(READY) ## Play every outage and its negative control (about 5 min); ARGS="--seed 2"
	@mkdir -p build
	@$(BIN)/pilotlight chaos run --all --journals build/chaos --report build/chaos.html \
		--report build/chaos.md --report build/chaos.xml $(ARGS)

test: $(READY) lint types ## Lint, types, contracts, and the tests that need no other process (5 min)
	@$(BIN)/pytest -q -n auto --dist=worksteal --hypothesis-profile=quick --budget $(ARGS)
	@cd plugins/django && ../../$(BIN)/pytest -q -n auto

test-all: $(READY) lint types ## All that CI runs: every test with coverage, and the plugins' suites (17 min)
	@$(BIN)/pytest -m "not live and not backends and not instrumentors and not recipes" \
		--cov --cov-report=term:skip-covered -q -n auto --dist=worksteal
	@cd plugins/django && ../../$(BIN)/pytest -q -n auto
	@$(MAKE) test-langchain
	@for each in fastapi llm; do \
		(cd plugins/$$each && ../../$(BIN)/mypy && ../../$(BIN)/pytest -q) || exit 1; done
	@$(MAKE) test-django ARGS="-m processes"  # the others have run
	@$(MAKE) site dist
	@$(MAKE) test-recipes

test-langchain: $(READY) ## LangChain's standard suites, all well and in an outage, and the plugin's own tests
	@cd plugins/langchain && ../../$(BIN)/mypy && ../../$(BIN)/pytest -q -n auto --dist=worksteal $(ARGS)

test-langchain-versions: $(READY) ## The same with the oldest and the newest LangChain that are supported (8 min)
	@$(BIN)/python tools/langchain_versions.py $(ARGS)

test-live: $(READY) ## The Ollama contract against a real server: OLLAMA_HOST, PILOTLIGHT_LIVE_MODEL
	@$(BIN)/pytest tests/live -m live -q -p no:cacheprovider $(ARGS)

test-backends: $(READY) ## Telemetry at a real Prometheus and Phoenix, and beside other instrumentations
	@command -v prometheus >/dev/null && command -v promtool >/dev/null \
		|| { echo "Prometheus is not installed; try: apt-get install prometheus"; exit 1; }
	@test -x .venv-phoenix/bin/phoenix || { echo "installing Phoenix (600 MB) into .venv-phoenix"; \
		$(PYTHON) -m venv .venv-phoenix && .venv-phoenix/bin/pip install -q arize-phoenix==20.26.1; }
	@test -d .venv-instrumentors || $(BIN)/python -m pip install -q --no-deps \
		--target .venv-instrumentors -r tests/backends/instrumentors.txt
	@$(BIN)/pytest tests/backends -m "backends or instrumentors" -q -p no:cacheprovider $(ARGS)

test-django: $(READY) ## The Django plugin under gunicorn, uvicorn, Redis, PostgreSQL and Chromium, where they are
	@cd plugins/django && ../../$(BIN)/pytest -m "processes or not processes" -q -p no:cacheprovider $(ARGS)

test-recipes: $(READY) ## The recipes, with pydantic-ai, OpenAI Agents SDK, instructor, LlamaIndex, DSPy ...
	@$(BIN)/python tools/recipes_env.py
	@$(BIN)/pytest tests/recipes -m recipes -q -n 2 -p no:cacheprovider $(ARGS)

test-django-newest: ## The plugin's own tests with the newest Django; it needs PYTHON=python3.12 or newer
	@$(PYTHON) tools/setup_env.py --python $(PYTHON) .venv-django-newest $(CONSTRAINTS)
	@.venv-django-newest/bin/python -m pip install --quiet --upgrade django
	@cd plugins/django && ../../.venv-django-newest/bin/python -m pytest -q -n auto -p no:cacheprovider $(ARGS)

lint: $(READY) ## ruff and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY) ## mypy --strict, and what users write by mypy and pyright
	@$(BIN)/mypy
	@$(BIN)/mypy tools
	@$(BIN)/mypy tests/typing
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

format: $(READY) ## Let ruff format and mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## Print the numbers that are promised (about 5 min); ARGS="--html bench.html"
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(READY) ## What pilotlight and its peers cost, and what their callers get (about 16 min)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

bench-docs: $(READY) ## Run both, and write docs/performance.md and docs/comparison.md anew
	@$(BIN)/python -m benchmarks --all --patient --json bench.json
	@$(BIN)/python -m benchmarks.peers --json bench-peers.json --write docs/comparison.md
	@$(BIN)/python -m benchmarks.publish bench.json bench-peers.json --html bench.html

soak: $(READY) ## 50,000 calls under changing faults, and what is left of them (10 min)
	@$(BIN)/python -W ignore -m benchmarks.soak $(ARGS)

site: $(READY) ## Build the documentation as a site into site/; a dead link or anchor fails it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: $(READY) ## Write the generated tables of docs/ anew
	@$(BIN)/python tools/docs_tables.py

dist: $(READY) ## Build every distribution into dist/, and check what the package index would
	@rm -rf dist
	@for each in . ./packages/*/ ./chaos ./plugins/*/; do \
		$(BIN)/python -m build --no-isolation --outdir dist $$each >/dev/null 2>&1 || exit 1; done
	@$(BIN)/twine check --strict dist/*

test-pythons: ## The tests with every supported Python that is here: 3.12, 3.13 (8 min each)
	@$(PYTHON) tools/other_pythons.py $(CONSTRAINTS) $(ARGS)

constraints: ## Renew constraints.txt from pyproject.toml (needs uv)
	@$(PYTHON) tools/setup_env.py --renew $(VENV) $(CONSTRAINTS)

clean: ## Remove the environment and every cache
	@rm -rf $(VENV) .venv-langchain-oldest .venv-langchain-newest .venv-django-newest .venv-python* .venv-recipes .venv-peers .venv-phoenix .venv-instrumentors .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist build site
