"""Reads the catalog of a database with its role's privileges, caches it, and writes it as text.

queries         the SQL statements
introspection   runs them, for some tables at a time
rows            decodes their cells
assembly        builds a `Catalog` from the rows
short_types     short names of types
known_values    values and ranges from constraints and statistics
catalog         the result: immutable tables and columns, and lookups by name
cache           one catalog per database, refreshed in the background
sampling        values of columns without statistics
scope           which schemas and values the operator shows
hidden          relations that exist but are not in the catalog
row_security    where row-level security policies apply
rendering       a catalog as text for people and for prompts
identifiers     parses names of SQL, and splits names into words
"""
