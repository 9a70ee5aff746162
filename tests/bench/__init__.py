"""Figures against clush, measured in interleaved pairs of whole processes: `python -m tests.bench [NAME...]`.

Not collected by pytest. docs/benchmarks.md says how to read them.
"""
