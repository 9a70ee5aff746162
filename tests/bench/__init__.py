"""How fast clbalance is, against the programs that answer the same question: `python -m tests.bench [NAME...]`.

docs/benchmarks.md says how to run it and how to read it. The tests in this folder measure nothing.
"""
