# Needs make and a Python from 3.10 on. Everything else goes to .venvs/ in this directory, and stays
# there for the next time. `make PYTHON=python3.13 ...` chooses the Python, `make test ARGS="-k loop"`
# hands arguments on.

PYTHON ?= $(shell for python in python3 python python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
		&& echo $$python && break; done)
ARGS ?=
# So many test files run side by side, most of which wait for servers; WORKERS=0 runs one after the
# other.
WORKERS ?= 3
# Their tests are of what is ours alone, and take long: they are not run once more on the oldest.
ours_alone := corpus dialect faults langfuse loop_guard masking masking_found presets receivers \
	support weight
workers = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

venvs := $(CURDIR)/.venvs
prepare = @$(if $(PYTHON),,$(error Python 3.10 to 3.14 is needed, and none was found; name one: make PYTHON=/path/to/python3 $@))$(PYTHON) tools/bootstrap.py

export DO_NOT_TRACK := true
export PHOENIX_TELEMETRY_ENABLED := false
# The Phoenix of the demo and of the tests, in an environment that is all its own.
demo test test-all: export LANGFLOW_OTEL_PHOENIX_PYTHON := $(venvs)/phoenix/bin/python

.PHONY: help demo test test-all lint format docs bench soak clean

help: ## Says what there is to make
	@grep -E '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: ## Runs real flows, traced into a real Phoenix, and shows them
	$(prepare) phoenix demo
	@$(venvs)/demo/bin/langflow-otel demo $(ARGS)

test: ## Runs the tests: all on the newest Langflow, the quick ones on the oldest
	$(prepare) phoenix test oldest
	$(venvs)/test/bin/python -m pytest $(workers) -m "not exhaustive" $(ARGS)
	$(venvs)/oldest/bin/python -m pytest $(workers) -m "not server and not phoenix and not slow and not exhaustive" \
		$(ours_alone:%=--ignore=tests/test_%.py) $(ARGS)

test-all: ## Runs the tests on every Langflow from 1.7 on and every Python at hand (takes long)
	$(prepare) phoenix nox
	@$(venvs)/nox/bin/python tools/matrix.py $(ARGS)

lint: ## Checks style and types
	$(prepare) lint
	$(venvs)/lint/bin/ruff check
	$(venvs)/lint/bin/ruff format --check
	$(venvs)/lint/bin/mypy --strict src

format: ## Formats the code, and mends what can be mended by machine
	$(prepare) lint
	$(venvs)/lint/bin/ruff check --fix
	$(venvs)/lint/bin/ruff format

docs: ## Writes the page of variables anew
	$(PYTHON) tools/variables.py

bench: ## Measures what tracing costs per component
	$(prepare) test
	@$(venvs)/test/bin/python -m benchmarks $(ARGS)

soak: ## Makes 100,000 flow runs, with a backend that hangs and one that is away (takes long)
	$(prepare) test
	@$(venvs)/test/bin/python -m benchmarks.soak --write $(ARGS)

clean: ## Removes the environments and everything else that was made here
	rm -rf .venvs .nox .cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
