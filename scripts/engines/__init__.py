"""The engines and poolers that `scripts/check_engines.py` runs pgmcp against.

postgres     PostgreSQL servers of several versions, a streaming replica, Debian's extensions
pglite       PGlite behind pglite-socket, with extensions
poolers      PgBouncer and pgpool-II in front of a PostgreSQL
examination  the checks of an engine, and their results
"""
