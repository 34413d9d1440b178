# Two commands matter: `make run` and `make test`. Each installs what it needs into .venv first.
PYTHON ?= python3
PROFILE ?= $(AR_PROFILE)
PY := .venv/bin/python
PIP := $(PY) -m pip install -q -c constraints.txt
CODE := conftest.py helpers tests benchmarks notebooks
# Set only where one is named: what the environment says wins over settings.toml.
ifneq ($(PROFILE),)
export AR_PROFILE := $(PROFILE)
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run lint test test-browser test-peers test-slow verify bench lab refresh exercises handout slides clean

help:               ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /make \1\t/'

run: .venv/ready    ## run notebooks 01 to 10 and fill submission/ (PROFILE=smoke, classroom or full)
	@$(PY) -m helpers

lint: .venv/test    ## formatting, style, layers of imports, lines of each room
	@$(PY) -m ruff format --quiet --check $(CODE)
	@$(PY) -m ruff check --quiet $(CODE)
	@.venv/bin/lint-imports --no-cache --no-logo
	@$(PY) tests/rooms.py

# Two workers, one a core. A file's tests stay together: its models are made once, and
# a notebook's cells share a kernel.
test: .venv/test    ## unit tests, and every notebook against its outputs, offline
	@$(PY) -m pytest -n 2 --dist loadscope

test-browser: .venv/test ## what is shown, used and read in a real Chromium (skipped where there is none)
	@$(PIP) --group browser
	@$(PY) -m pip install -q --no-deps --group slides
	@$(PY) -m pytest -m browser -rs tests

test-peers: .venv/test ## our scores beside those of lm-evaluation-harness and minicons (minutes)
	@$(PIP) -e .[peers]
	@$(PY) -m pytest -m peers -rs tests/test_peers.py

test-slow: .venv/test ## the whole series from a hub on loopback, a 200 MB corpus, the same seed twice (minutes)
	@$(PY) -m pytest -m slow -rs tests

verify: .venv/test  ## run the classroom profile again and compare with submission/metrics.json (half an hour)
	@$(PY) tests/regression.py --verify

bench: .venv/ready  ## this project beside its peers, ratios from one run
	@$(PIP) --group browser
	@$(PY) -m benchmarks

lab: .venv/ready    ## open the notebooks in JupyterLab
	@$(PY) -m jupyter lab notebooks

refresh: .venv/ready ## run the series and put its outputs into notebooks/ (for maintainers)
	@$(PY) -m helpers
	@$(PY) tests/refresh.py

exercises: .venv/test ## the blank exercises, from notebooks/exercises/solutions/ (for maintainers)
	@$(PY) -m nbconvert --log-level=ERROR --to notebook --output-dir notebooks/exercises \
		--NotebookExporter.preprocessors=nbgrader.preprocessors.ClearSolutions \
		--ClearOutputPreprocessor.enabled=True notebooks/exercises/solutions/*.ipynb

# A corpus that is a file goes along; a base that is a folder does not. The manifest is
# handed out without its list of files: the pictures, which would give all away, are not,
# nor are the words for them, which stand in the cells' metadata.
BASE ?= packaged
NEURIPS ?= packaged
HANDOUT := runs/handout/likelihood
handout: .venv/ready ## runs/handout/likelihood.zip for a class (BASE=, NEURIPS=, SETTINGS="train_tokens = 61_440")
	@rm -rf runs/handout
	@mkdir -p $(HANDOUT)/notebooks/exercises $(HANDOUT)/submission
	@cp -R helpers README.md LICENSE Makefile environment.yml pyproject.toml constraints.txt $(HANDOUT)
	@find $(HANDOUT) -name __pycache__ -prune -exec rm -rf {} +
	@cp -R notebooks/images $(HANDOUT)/notebooks
	@$(PY) -m nbconvert --log-level=ERROR --to notebook --ClearOutputPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.clear_notebook_metadata=False \
		--ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags \
		--output-dir $(HANDOUT)/notebooks notebooks/[0-9]*.ipynb
	@cp notebooks/exercises/*.ipynb $(HANDOUT)/notebooks/exercises
	@cp submission/likelihoods.csv $(HANDOUT)/submission
	@$(PY) -c 'import json, sys; facts = json.load(sys.stdin); del facts["files"]; print(json.dumps(facts))' \
		< submission/manifest.json > $(HANDOUT)/submission/manifest.json
	@$(if $(wildcard $(NEURIPS)),cp $(NEURIPS) $(HANDOUT))
	@printf '%s\n' '# One choice for the whole class; the environment wins over it.' \
		'profile = "$(or $(PROFILE),classroom)"' 'base = "$(BASE)"' \
		'neurips = "$(if $(wildcard $(NEURIPS)),./$(notdir $(NEURIPS)),$(NEURIPS))"' \
		$(if $(SETTINGS),'$(SETTINGS)') > $(HANDOUT)/settings.toml
	@cd runs/handout && "$(CURDIR)/$(PY)" -m zipfile -c likelihood.zip likelihood
	@echo "Hand out runs/handout/likelihood.zip, with these settings:" && cat $(HANDOUT)/settings.toml

slides: .venv/ready ## runs/slides/lecture.html: the lecture of 90 minutes, one file that needs no network
	@$(PY) -m pip install -q --no-deps --group slides
	@$(PY) book/lecture.py

clean:              ## remove models, checkpoints and executed notebooks, but not submission/
	rm -rf runs

# torch comes first, so that nothing else asks the index for another build of it.
.venv/ready: pyproject.toml constraints.txt
	@echo "Installing into .venv; this takes a few minutes the first time."
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PIP) pip
	@$(PIP) torch
	@$(PIP) -e .
	@$(PY) -m pip install -q --no-deps --group packaged
	@touch $@

.venv/test: .venv/ready
	@$(PIP) -e .[teach] --group test
	@touch $@
