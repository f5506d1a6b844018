"""The scenarios of `scripts/loadtest.py`, and the tools that they measure with."""
