"""Warns in the log of patterns in the settings that match nothing in a database."""

import logging

from pgmcp.catalog.catalog import Catalog
from pgmcp.lookup.scope_patterns import find_unmatched_columns, find_unmatched_schemas

logger = logging.getLogger(__name__)


class ScopeCheck:
    """Checks the patterns for one database's schemas and hidden values; logs the same warning once.

    Args:
        database: its configured name.
        checks_columns: False where several databases share the patterns for hidden values.
    """

    def __init__(self, database: str, *, checks_columns: bool) -> None:
        self._database = database
        self._checks_columns = checks_columns
        self._last_text = ""

    def check(self, catalog: Catalog) -> None:
        """Warn of patterns that match nothing in this catalog. Takes time: call it in a thread."""
        unmatched = find_unmatched_schemas(catalog)
        if self._checks_columns:
            unmatched += find_unmatched_columns(catalog)
        text = "; ".join(each.describe() for each in unmatched)
        if text and text != self._last_text:
            logger.warning("database %s: %s", self._database, text)
        self._last_text = text
