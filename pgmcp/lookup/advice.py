"""What the catalog can say to a statement that PostgreSQL refused: near names, and labels an enum has."""

import re
from collections.abc import Sequence
from typing import Final

from pgmcp.catalog.catalog import Catalog
from pgmcp.errors import StatementFailedError
from pgmcp.lookup.near_names import (
    MISSING_NAME_SQLSTATES,
    UNDEFINED_TABLE,
    advise_missing_name,
    describe_columns,
    name_at,
)
from pgmcp.lookup.value_check import check_listed, resolve
from pgmcp.untrusted import escape_untrusted
from pgmcp.validation.mentions import Mentions, read_mentions

INVALID_TEXT: Final = "22P02"
"""invalid_text_representation: among others, a label that its enum does not have."""

INSUFFICIENT_PRIVILEGE: Final = "42501"

ADVISED_SQLSTATES: Final = MISSING_NAME_SQLSTATES | {INVALID_TEXT, INSUFFICIENT_PRIVILEGE}


def is_outdated(error: StatementFailedError, sql: str, catalog: Catalog) -> bool:
    """Tell whether the name that PostgreSQL does not find is in the catalog all the same."""
    name = name_at(sql, error.position)
    if error.sqlstate not in MISSING_NAME_SQLSTATES or not name:
        return False
    if error.sqlstate == UNDEFINED_TABLE:
        table = catalog.find(".".join(name))
        return table is not None and table.name == name[-1]
    relations = read_mentions(sql).relations_of(name[-2] if len(name) > 1 else "")
    tables = [table for relation in relations if (table := catalog.find(relation)) is not None]
    return any(column.name == name[-1] for table in tables for column in table.columns)


def advise(error: StatementFailedError, sql: str, catalog: Catalog) -> str:
    """Return what is there in place of what is not; "" if there is nothing to say."""
    mentions = read_mentions(sql)
    if error.sqlstate == INVALID_TEXT:
        return "; ".join(mismatch.describe() for mismatch in check_listed(resolve(mentions, catalog)))
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
        return _advise_readable(str(error), mentions, catalog)
    name = name_at(sql, error.position)
    if error.sqlstate == UNDEFINED_TABLE and _is_column(name, mentions):
        return f"FROM has {escape_untrusted(', '.join(alias for alias, _ in mentions.relations))}"
    qualifier = name[-2] if len(name) > 1 else ""
    relations = mentions.relations_of(qualifier) or mentions.relations_of("")
    return advise_missing_name(error.sqlstate, name, relations, catalog)


def _advise_readable(message: str, mentions: Mentions, catalog: Catalog) -> str:
    """Return which columns the role may read of the relation that the server's message names.

    The message is in the server's language, but it names the relation. One that the catalog lacks has no
    readable column, or belongs to a view.
    """
    for _, relation in mentions.relations:
        table = catalog.find(relation)
        if table is not None and re.search(rf"(?<!\w){re.escape(table.name)}(?!\w)", message):
            return f"only these may be read: {describe_columns(table, catalog)}"
    return ""


def _is_column(name: Sequence[str], mentions: Mentions) -> bool:
    """Tell whether what stands there is `alias.column` with an alias that FROM lacks, and no table."""
    return len(name) > 1 and ".".join(name) not in {relation for _, relation in mentions.relations}
