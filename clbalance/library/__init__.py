"""What programs import: `clbalance.Cluster` and `clbalance.Executor` (docs/design/library.md).

It wires what `cli` wires, for a caller that is a program: nothing is printed, no signal handler is set, and errors are
exceptions. All use of the engine happens in threads of its own (`calls.py`), so the caller may be any thread.
"""
