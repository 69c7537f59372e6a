# make build   install everything into .venv and build the default dataset
# make test    install everything into .venv and run all tests and checks
# make validate  build the default dataset, train a small model on it, evaluate
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
DATASET := datasets_out/tinyworld
RUNS := datasets_out/validation
# GRPO has nothing to compare where SFT has taught every answer: each meets half of the contrast sets.
SFT_HALF := --set sft.share=0.5
OTHER_HALF := --set grpo.share=0.5
export HF_HUB_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: build test validate ablation bench bench-gpu lint train clean

build: $(STAMP)
	$(BIN)/python -m pipelines.build --runner=DirectRunner

validate: build
	rm -rf $(RUNS)
	$(BIN)/python -m pipelines.train sft --dataset $(DATASET) --out $(RUNS)/sft $(SFT_HALF)
	$(BIN)/python -m pipelines.train grpo --dataset $(DATASET) --model $(RUNS)/sft --out $(RUNS)/grpo $(OTHER_HALF)
	$(BIN)/python -m pipelines.evaluate --dataset $(DATASET) --model builtin:tinyworld/base \
		--probe builtin:tinyworld/clip --run $(RUNS)/sft --run $(RUNS)/grpo --out $(RUNS)/evaluation

ablation: $(STAMP)
	$(BIN)/python -m tests.benchmarks.ablation --dataset $(DATASET) $(SFT_HALF) $(OTHER_HALF)

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(WORKERS)
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks.run

bench-gpu: $(STAMP)
	$(BIN)/python -m tests.benchmarks.gpu
	$(BIN)/python -m tests.benchmarks.gpu_tinyworld --dataset $(DATASET)

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
	rm -rf $(VENV) build *.egg-info
