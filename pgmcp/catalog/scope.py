"""What of a database its operator wants known: which schemas, and which columns' values."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pgmcp.catalog.sensitive import looks_sensitive


@dataclass(frozen=True, slots=True)
class CatalogScope:
    """The operator's choice; patterns know `*` and `?`, and case does not matter.

    It decides what is shown, not what may be read: that is what the role's grants are for.

    Attributes:
        include_schemas: patterns of schemas; empty means every one.
        exclude_schemas: patterns of schemas to leave out of these.
        hidden_values: patterns of columns of which neither values and ranges nor enum labels and checks are
            ever shown: `column`, `table.column` or `schema.table.column`. Values in columns with
            sensitive-looking names are hidden without them.
        with_values: whether values and ranges are shown at all. What the schema itself says, enum labels
            and checks, is no value.
    """

    include_schemas: tuple[str, ...] = ()
    exclude_schemas: tuple[str, ...] = ()
    hidden_values: tuple[str, ...] = ()
    with_values: bool = True

    def includes(self, schema: str) -> bool:
        """Tell whether the schema's tables are part of the catalog."""
        is_included = not self.include_schemas or matches(schema, self.include_schemas)
        return is_included and not matches(schema, self.exclude_schemas)

    def shows_values(self, schema: str, table: str, column: str) -> bool:
        """Tell whether values of this column may be shown, and so be sent to the model's provider."""
        return self.with_values and not looks_sensitive(column) and not self.hides(schema, table, column)

    def hides(self, schema: str, table: str, column: str) -> bool:
        """Tell whether the operator hides what this column may hold."""
        names = (column, f"{table}.{column}", f"{schema}.{table}.{column}")
        return any(matches(names[min(pattern.count("."), 2)], (pattern,)) for pattern in self.hidden_values)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name matches one of the patterns, in any case."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
