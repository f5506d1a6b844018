"""The scenarios of `scripts/loadtest.py`, and what they are measured with."""
