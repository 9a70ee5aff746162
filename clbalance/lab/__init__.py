"""A cluster in a box on loopback: real OpenSSH servers with values of their own, for learning and for tests.

Keep this module empty: every node's init process imports it at start.
"""
