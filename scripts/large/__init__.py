"""The parts of `scripts/large_schema.py`."""
