"""The engines and poolers that `scripts/check_engines.py` runs pgmcp against.

postgres     PostgreSQL servers of several versions, a replica, poolers, Debian's extensions
pglite       PGlite behind pglite-socket, with extensions
examination  the checks of an engine, and their results
"""
