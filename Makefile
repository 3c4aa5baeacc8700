# Two commands matter: `make loop` and `make test`. Everything else serves them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet -c constraints.txt
ARGS ?=
# Two test processes with one thread each: small networks lose tenfold when both take both cores.
SINGLE := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.PHONY: loop loop-all test check browser walls lint format types size

loop: $(VENV)/installed-loop  ## run the default plan to its verified end
	@$(PY) -m orchestrator.loop $(ARGS)

loop-all: $(VENV)/installed-networks  ## the same, with the Medium items, which train networks
	@$(PY) -m orchestrator.loop --priority Medium $(ARGS)

test: $(VENV)/installed-test  ## the quick suite
	@$(SINGLE) $(PY) -m pytest -q -n 2 -m "not slow and not network"

check: browser walls lint types size  ## format, lint, types, sizes, quick and slow tests
	@$(SINGLE) $(PY) -m pytest -q -n 2

browser:  ## chromium for the tests of the pages, from the system; without it they are skipped and say so
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium for the tests of the pages (once) ..."; \
		{ apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver; } >/dev/null \
			|| echo "chromium could not be installed: the tests of the pages are skipped"; \
	else echo "no chromium and chromedriver on the PATH: the tests of the pages are skipped"; fi

walls:  ## bubblewrap for the tests of the sandbox, from the system; without it they are skipped and say so
	@if command -v bwrap >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing bubblewrap for the tests of the sandbox (once) ..."; \
		{ apt-get update && apt-get install -y --no-install-recommends bubblewrap; } >/dev/null \
			|| echo "bubblewrap could not be installed: the tests of the sandbox are skipped"; \
	else echo "no bwrap on the PATH: the tests of the sandbox are skipped"; fi

lint: $(VENV)/installed-test
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .

format: $(VENV)/installed-test
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

types: $(VENV)/installed-test
	@$(PY) -m mypy

size: $(VENV)/installed-test  ## logical lines, and the limits of the house style
	@$(PY) tools/size.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed-loop: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what the loop needs into $(VENV) (once) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/installed-networks: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what the loop and its networks need into $(VENV) (once) ..."
	@$(PIP) torch
	@$(PIP) -e '.[torch]'
	@touch $@ $(VENV)/installed-loop

$(VENV)/installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what the tests need into $(VENV), both frameworks among it (once, some minutes) ..."
	@$(PIP) torch
	@$(PIP) -e '.[dev,torch,tensorflow]'
	@touch $@ $(VENV)/installed-loop $(VENV)/installed-networks
