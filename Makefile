# The commands people type. Each only calls a tool; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SITE   := _build/html
PORT   ?= 8000

# The notebooks run with this environment's kernel and one thread: the same numbers everywhere.
export JUPYTER_PREFER_ENV_PATH := 1
export OMP_NUM_THREADS ?= 1
unexport JUPYTER_PATH
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install book serve lab test lint format bench links lock vendor screenshot clean

help:  ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the book's environment (a few minutes the first time) …"
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -c constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

install: $(VENV)/.installed  ## create the environment in .venv and install everything

book: install  ## execute the notebooks and build the site
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	@echo "The book is at $(CURDIR)/$(SITE)/index.html — 'make serve' opens it."

serve:  ## open the built book on a local port (PORT=8000)
	$(BIN)/python tools/serve.py $(SITE) $(PORT)

lab: install  ## open JupyterLab in the folder of the notebooks
	cd book && ../$(BIN)/jupyter lab

test: book  ## package, notebooks, built pages in a browser, JupyterLab
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install  ## formatting, types, notebooks, vendored files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/biome ci
	$(BIN)/mypy
	$(BIN)/python tools/lint_notebooks.py
	$(BIN)/python tools/vendor.py check

format: install  ## format the code and strip the notebooks' outputs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/biome check --write
	$(BIN)/nbstripout --keep-id book/*.ipynb

bench: install  ## compare time and memory with what you would use instead (20 minutes)
	$(BIN)/python benchmarks/suite.py --json benchmarks/results.json --page book/benchmarks.md

links: book  ## follow the book's links to other sites (needs the network)
	$(BIN)/python tools/check_links.py --external $(SITE)

lock: install  ## renew constraints.txt, the exact versions of the book's environment
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file constraints.txt requirements.txt

vendor: install  ## fetch the vendored front-end files again (needs npm)
	$(BIN)/python tools/vendor.py fetch

screenshot: book  ## renew the picture in the README
	$(BIN)/python tools/screenshot.py

clean:  ## remove what was built (not the environment)
	rm -rf _build
