# The commands people type. Each only calls a tool; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SITE   := _build/html
PORT   ?= 8000
STUDENTS ?= 10
# outputs go, and what an editor says of the Python that it ran
STRIP  := $(BIN)/nbstripout --keep-id --extra-keys \
  "metadata.language_info.codemirror_mode metadata.language_info.file_extension metadata.language_info.mimetype metadata.language_info.nbconvert_exporter metadata.language_info.pygments_lexer metadata.language_info.version"

# The notebooks run with this environment's kernel.
export JUPYTER_PREFER_ENV_PATH := 1
unexport JUPYTER_PATH
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install develop book serve archive pdf lab notebooks write test lint format bench class-test links lock vendor screenshot clean

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the book's environment (a few minutes the first time) …"
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -c constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Adding what tests and lint need …"
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt -c constraints.txt
	@touch $@

install: $(VENV)/.installed  ## create the environment in .venv: what readers need

develop: $(VENV)/.installed-dev  ## add what tests, lint and benchmarks need

book: install  ## execute the notebooks and build the site
	$(BIN)/python tools/build_book.py

serve:  ## open the built book on a local port (PORT=8000)
	$(BIN)/python tools/serve.py $(SITE) $(PORT)

archive:  ## put the built book into one zip file, to read without a network
	$(BIN)/python tools/archive.py

pdf: develop  ## print the built book into one PDF (needs Chromium)
	$(BIN)/python tools/make_pdf.py

lab: install  ## open JupyterLab with your own copies of the chapters
	$(BIN)/python tools/lab.py

notebooks: install  ## only make these copies, in notebooks/, for VS Code and others
	$(BIN)/python tools/working_copies.py

write: install  ## open the chapters themselves in JupyterLab, to change them
	$(BIN)/python tools/lab.py book

# `make book` has just executed the notebooks; in CI nbval does so once more
test: develop book  ## package, built pages in a browser, JupyterLab (CI=1: notebooks with nbval)
	$(BIN)/python -m pytest $(if $(CI),book) tests -n 2 --dist loadfile --no-loadscope-reorder --durations 15

lint: develop  ## formatting, types, notebooks, vendored files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if [ -x $(BIN)/biome ]; then $(BIN)/biome ci; else echo "biome has no wheel for this system: front-end files are passed over"; fi
	$(BIN)/mypy
	$(STRIP) --verify book/*.ipynb
	$(BIN)/python tools/lint_notebooks.py
	$(BIN)/python tools/vendor.py check

format: develop  ## format the code and strip the notebooks' outputs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@if [ -x $(BIN)/biome ]; then $(BIN)/biome check --write; else echo "biome has no wheel for this system: front-end files are passed over"; fi
	$(STRIP) book/*.ipynb

bench: develop  ## compare time and memory with what you would use instead (20 minutes)
	$(BIN)/python benchmarks/suite.py --json benchmarks/results.json --page book/benchmarks.md

class-test: book  ## try a class on this machine, as root (STUDENTS=10)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r classroom/requirements.txt -c constraints.txt
	$(BIN)/python classroom/class_test.py --students $(STUDENTS)

links: develop book  ## follow the book's links, to other sites too (needs the network)
	$(BIN)/lychee --offline=false $(SITE)

lock: develop  ## renew constraints.txt, the exact versions of the book's environment
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file constraints.txt requirements.txt requirements-dev.txt

vendor: install  ## fetch the vendored front-end files again (needs npm)
	$(BIN)/python tools/vendor.py fetch

screenshot: develop book  ## renew the picture in the README
	$(BIN)/python tools/screenshot.py

clean:  ## remove what was built (not the environment)
	rm -rf _build
