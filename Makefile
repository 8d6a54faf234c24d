# Every target makes what it needs, from nothing but a Python 3.10+ (see scripts/find-python) and pip.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
# Options for pytest or for the benchmarks, e.g. make test ARGS="-k codec"
ARGS ?=

.PHONY: demo test repeat lint format types generate bench clean help
.DELETE_ON_ERROR:

help:
	@echo "make demo | test | repeat | lint | format | types | generate | bench | clean   (see CONTRIBUTING.md)"

$(BIN)/python:
	@set -e; python="$(PYTHON)"; [ -n "$$python" ] || python=$$(scripts/find-python); \
	echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV)

# One stamp for each set of extras: a set is installed again when the metadata changes.
$(VENV)/.installed-demo: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing realtime_sync[local]"
	@$(PIP) install --editable ".[local]"
	@touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing realtime_sync[test,dev]"
	@$(PIP) install --editable ".[test,dev]"
	@touch $@

demo: $(VENV)/.installed-demo
	@$(BIN)/python examples/demo.py $(ARGS)

# The plain `pytest`, not `python -m pytest`: that would put the source tree ahead of what is installed.
test: $(VENV)/.installed-dev
	@$(BIN)/pytest $(ARGS)

# The suite again and again, e.g. make repeat ARGS="20 --at-once 6"
repeat: $(VENV)/.installed-dev
	@$(BIN)/python scripts/repeat.py $(ARGS)

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

# After an event class was added: the constants and the visitors.
generate: $(VENV)/.installed-dev
	@$(BIN)/python scripts/generate.py

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist out *.egg-info .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
