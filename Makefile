# Everything lives in .venv of this checkout; nothing is installed system-wide.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PHOTOS ?=
UPGRADE ?=
SOAK ?=
# Tests start hundreds of processes: each would compile our modules anew, for 0.4 s.
unexport PYTHONDONTWRITEBYTECODE
PIP    := python -m pip install -qq --disable-pip-version-check --root-user-action=ignore
VLM    := .venv-vlm
DOCS   := .venv-docs
# Three at a time keep two cores busy: tests wait half of the time (unit tests do not). Each has
# servers and a Postgres of its own. The folders whose tests take longest come first, so that none
# is left for the end.
PARALLEL := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
# Each run has a folder of its own, which stays if a test fails: pytest removes those of other runs.
run = folder=$$(mktemp -d) && $(1) --basetemp="$$folder/pytest" && rm -rf "$$folder"
VLM_STAMP := $(VLM)/.installed

.PHONY: help venv lock demo test test-fast test-foreign test-engines test-crashes soak check docs release bench serve clean test-vlm test-servers

help:  ## what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP)  ## the set-up alone

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Ocelli needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -f $@ || echo "Setting up .venv (once; some minutes, 2.0 GB on the disk with all that tests need) ..."
	@$(BIN)/$(PIP) --require-hashes -r requirements.lock
	@$(BIN)/python -m pip uninstall -qq -y ocelli  # of that name, by us or others: it would be in the way
	@$(BIN)/$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

# A new dependency goes into pyproject.toml first. What is pinned stays so; UPGRADE=--upgrade renews it.
lock: venv  ## pin what pyproject.toml asks for, with hashes, into requirements.lock
	@$(BIN)/uv pip compile --quiet pyproject.toml --extra server --extra s3 --extra video --extra dev $(UPGRADE) \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet pyproject.toml --extra server --extra s3 --extra mcp --extra tracing -c requirements.lock \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --output-file deploy/container/requirements.lock
	@$(BIN)/$(PIP) --require-hashes -r requirements.lock
	@$(BIN)/python -m release.sbom

demo: export PHOTOS := $(PHOTOS)
demo: venv  ## describe the sample photos, or PHOTOS=~/Pictures
	@$(BIN)/python -m ocelli.cli.demo

test: venv  ## all tests of our own
	@$(call run, $(PARALLEL) --durations=25 \
		tests/contract tests/integration tests/chat tests/sdk tests/docs tests/vlm tests/unit)

test-fast: venv  ## the unit tests, with few examples of each property
	@$(call run, $(PARALLEL) -n 2 --hypothesis-profile=few tests/unit)

test-foreign: docs  ## what other people wrote against ours: clients of OpenAI and Ollama, LangChain, LiteLLM, pydantic-ai
	@! command -v npm >/dev/null || npm install --silent --no-fund --no-audit --prefix tests/foreign
	@$(BIN)/$(PIP) --no-deps --require-hashes -r tests/foreign/requirements.txt
	@$(call run, $(PARALLEL) --durations=10 tests/foreign)

test-engines: venv  ## bulk runs on Daft and on a cluster of Ray
	@$(BIN)/$(PIP) --no-deps --require-hashes -r tests/foreign/engines.txt
	@$(call run, $(BIN)/python -m pytest tests/foreign/test_bulk_engines.py)

test-crashes: venv  ## 20 kills with -9 over 1,000 accepted pictures; a quarter of an hour
	@$(BIN)/python -m tests.crash_matrix

soak: venv  ## two hours of load on every surface, broken again and again; SOAK='--minutes 30'
	@$(BIN)/python -u -m tests.soak $(SOAK)

test-vlm: $(VLM_STAMP)  ## a model inside the process; a set-up of its own, 1.5 GB
	@$(VLM)/bin/python -m pytest tests/vlm/test_vlm.py

test-servers: $(VLM_STAMP)  ## the engine against model servers of others
	@$(VLM)/bin/python -m pytest tests/vlm/test_foreign_servers.py

$(VLM_STAMP): pyproject.toml requirements.lock constraints-vlm.txt
	@test -x $(VLM)/bin/python || $(PYTHON) -m venv $(VLM)
	@$(VLM)/bin/$(PIP) --require-hashes -r requirements.lock
	@$(VLM)/bin/$(PIP) -c constraints-vlm.txt -e '.[server,vlm]' 'transformers[serving]'
	@touch $@

check: venv  ## lint, format, types, spelling, prose, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/python -m tools.prose
	@PYTHONPATH=src $(BIN)/lint-imports

docs: venv  ## the site of the documentation, in build/site
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/$(PIP) --require-hashes -r docs/requirements.txt
	@mkdir -p build
	@$(BIN)/python -m tools.docs_site build/docs build/mkdocs.yml
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --config-file build/mkdocs.yml
	@echo "build/site/index.html"

release: venv  ## wheel and source distribution in dist, built, checked and tried out
	@$(BIN)/python -m release

bench: venv  ## performance as ratios against baselines of the same run
	@$(BIN)/python -m benchmarks

serve: venv  ## the whole system in the foreground
	@$(BIN)/ocelli serve

clean:  ## remove what make made (not your data)
	rm -rf $(VENV) $(VLM) $(DOCS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
