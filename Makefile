# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test lint bench certify sabotage clean

# The demo needs Andon alone; tests need the tools too.
$(BIN)/andon: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(BIN)/andon

demo: $(BIN)/andon
	andon demo $(ARGS)

test: $(VENV)/.dev
	nox -s lint test sabotage

lint: $(VENV)/.dev
	nox -s lint

$(VENV)/.bench: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@ $(VENV)/.dev $(BIN)/andon

bench: $(VENV)/.bench
	nox -s bench -- $(ARGS)

certify: $(VENV)/.dev
	nox -s certify

sabotage: $(VENV)/.dev
	nox -s sabotage -- $(ARGS)

clean:
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis
