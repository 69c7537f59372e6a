# make build   install everything into .venv and build the default dataset
# make test    install everything into .venv and run all tests and checks
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
export HF_HUB_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: build test bench bench-gpu lint train clean

build: $(STAMP)
	$(BIN)/python -m pipelines.build --runner=DirectRunner

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks.run

bench-gpu: $(STAMP)
	$(BIN)/python -m tests.benchmarks.gpu

train: $(STAMP)
	$(BIN)/python -m generators.tinyworld.train

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else 'Python 3.11 to 3.13 is needed (some packages have no wheels for others yet): make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(STAMP)

clean:
	rm -rf $(VENV) datasets_out build *.egg-info
