"""Prepares a connection of a test's own for statements of ours, as the worker prepares each transaction."""

from typing import Any

import psycopg

_PREPARE = """
select pg_catalog.set_config('pgmcp.schemas',
           pg_catalog.concat(pg_catalog.array_to_json(pg_catalog.current_schemas(false))), false),
       pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
"""


def resolve_as_own(connection: psycopg.Connection[Any]) -> None:
    """Have names looked up in pg_catalog alone from now on; remember the schemas that were on the path."""
    connection.execute(_PREPARE)
