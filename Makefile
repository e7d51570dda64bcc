# make demo   the main job, end to end, on data that ships with the dependencies
# make test   the tests;  make lint: style, types, import contracts;  make docs: the HTML documentation
# PYTHON=python3.12 make demo   to choose the interpreter (3.11 or newer)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test lint docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/core.stamp
	$(BIN)/vireo demo

test: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto $(PYTEST)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/docs.stamp
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "vireo needs Python 3.11 or newer; $(PYTHON) is older. Run: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Could not create $(VENV). On Debian or Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/core.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing vireo into $(VENV) (about 6 GB with PyTorch; some minutes)"
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) install --quiet -c constraints.txt -e '.[test,lint,ray]'
	@touch $@

$(VENV)/docs.stamp: $(VENV)/core.stamp
	$(PIP) install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) runs docs/_build
