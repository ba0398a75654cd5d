# `make demo` and `make test` need nothing but Python 3.11 or newer and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: demo run studio test lint bench parity clean

demo: $(STAMP)
	$(BIN)/mien demo -o demo

STUDIO := src/mien/studio/dist/index.html

# Runs the service and opens the studio.
run: $(STAMP)
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory studio; \
	elif ! test -f $(STUDIO); then \
		echo "The studio is not built, because npm is missing: install Node.js 20.19 or newer and run make studio."; \
	fi
	$(BIN)/mien run

# Builds the web studio where its sources have changed; needs Node.js 20.19 or newer.
studio: $(STUDIO)

$(STUDIO): docs/openapi.json web/index.html web/package-lock.json $(shell find web/src web/public -type f 2>/dev/null)
	cd web && npm install --no-save --no-audit --no-fund && npm run --silent build

# Without files of compiled sources, each of the hundreds of processes that tests start would compile them anew.
test: $(DEV)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov=mien --cov-report=term:skip-covered

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)
	$(BIN)/python benchmarks/video.py

# Compares with FaceFusion's results, which lie beside the checkout, and writes docs/parity.md.
parity: $(DEV)
	$(BIN)/python benchmarks/parity.py

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .coverage

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mien needs Python 3.11 or newer; run make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $(STAMP)

$(DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $(DEV)
