# Each command does all of its own set-up: `make demo`, `make test`, `make docs`.

.PHONY: demo test check docs picture soak bench clean

demo: ; @scripts/setup demo && scripts/demo

test: ; @scripts/setup test && scripts/test

# What `test` checks before it runs the tests.
check: ; @scripts/setup test && scripts/check

# The site of docs/, into build/site.
docs: ; @scripts/setup docs && .venv/bin/python -m mkdocs build --strict --quiet && echo "build/site/index.html"

# docs/images/terminal.svg, from a lab.
picture: ; @scripts/setup demo && .venv/bin/python scripts/picture.py

# The random trials at their full measure, for a night: SOAK of 50, and EXAMPLES of each property.
SOAK ?= 50
EXAMPLES ?= 2000
soak: ; @scripts/setup test && CLBALANCE_SOAK=$(SOAK) CLBALANCE_EXAMPLES=$(EXAMPLES) scripts/test -m 'soak or hypothesis'

# Figures against clush, in pairs; takes some minutes.
bench: ; @scripts/setup test && .venv/bin/python -m tests.bench

clean: ; rm -rf .venv dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
