"""The catalog of a database: queries, assembly, cache, statistics and rendering."""
