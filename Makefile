# Each command does all of its own set-up: `make demo`, `make test`, `make docs`.

.PHONY: demo test check docs picture soak bench clean

demo: ; @scripts/setup demo && scripts/demo

test: ; @scripts/setup test && scripts/test

# What `test` checks before it runs the tests.
check: ; @scripts/setup test && scripts/check

# The site of docs/, into build/site.
docs: ; @scripts/setup docs && .venv/bin/python -m mkdocs build --strict --quiet && echo "build/site/index.html"

# docs/images, from labs: terminal.svg, and the screens of `top`.
picture: ; @scripts/setup test && .venv/bin/python scripts/picture.py && .venv/bin/python scripts/screens.py

# The random trials at their full measure, for a night: SOAK of 50, and EXAMPLES of each property.
SOAK ?= 50
EXAMPLES ?= 2000
soak: ; @scripts/setup test && CLBALANCE_SOAK=$(SOAK) CLBALANCE_EXAMPLES=$(EXAMPLES) scripts/test -m 'soak or hypothesis'

# clbalance and its peers are asked the same questions, in pairs: docs/benchmarks.md. All of it takes an hour.
# QUESTIONS='load run' asks some, JSON=FILE keeps the figures there, and RECORD=1 in docs/benchmarks.
PAIRS ?= 11
bench: ; @scripts/setup bench && .venv/bin/python -m tests.bench --pairs $(PAIRS) \
	$(if $(JSON),--json $(JSON)) $(if $(filter-out 0,$(RECORD)),--record) $(QUESTIONS)

clean: ; rm -rf .venv .venv-bench dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
