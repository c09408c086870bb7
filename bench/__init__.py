"""Benchmarks that anyone can run: `make bench`, or `python -m bench --help` in the repository's top directory.

The load, the sinks and the arithmetic are the bench's own and share nothing with the engine they measure.
"""
