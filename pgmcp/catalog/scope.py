"""Decides which schemas of a database are in the catalog, and which columns' values may be shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pgmcp.catalog.identifiers import split_words

# Matched anywhere in a name, because words are often run together: "custemail", "cardnumber".
_ANYWHERE = re.compile(
    r"passw|passphrase|passport|secret|token|credential|api_?key|private_?key|e_?mail|phone|mobile|addr|postal|zip_?code|iban|card"
    r"|birth|surname|(first|last|middle|given|family|full|user)_?name|salary|diagnos|ethnic|religio|biometr"
    r"|(cust|customer|client|patient|employee|contact|member|student|guest|passenger|tenant|subscriber)_?name"
)
# Matched as whole words only: "pin" is in "shipping", "ssn" in "processname".
_WORDS = (
    "pwd pass pin ssn sin cvv cvc key salt hash otp mfa tin vat nino nhs dob tel fax mail bic swift ip mac"
)
_AS_A_WORD = frozenset(_WORDS.split())


@dataclass(frozen=True, slots=True)
class CatalogScope:
    """The operator's choice of what is shown. The role's grants decide what may be read.

    Patterns are those of `fnmatch`, and ignore case.

    Attributes:
        include_schemas: patterns of schemas; empty includes all.
        exclude_schemas: patterns of schemas that are left out, even if `include_schemas` includes them.
        hidden_values: patterns of columns (`column`, `table.column` or `schema.table.column`) whose values,
            ranges, enum labels and checks are never shown. Values of columns with sensitive names are hidden
            without a pattern.
        with_values: whether values and ranges are shown at all. Enum labels and checks are part of the
            schema and do not count as values.
    """

    include_schemas: tuple[str, ...] = ()
    exclude_schemas: tuple[str, ...] = ()
    hidden_values: tuple[str, ...] = ()
    with_values: bool = True

    def includes(self, schema: str) -> bool:
        """Return whether the schema's tables are part of the catalog."""
        is_included = not self.include_schemas or matches(schema, self.include_schemas)
        return is_included and not matches(schema, self.exclude_schemas)

    def shows_values(self, schema: str, table: str, column: str) -> bool:
        """Return whether values of this column may be shown, and so sent to the model's provider."""
        return self.with_values and not looks_sensitive(column) and not self.hides(schema, table, column)

    def hides(self, schema: str, table: str, column: str) -> bool:
        """Return whether the operator hides the values of this column."""
        names = (column, f"{table}.{column}", f"{schema}.{table}.{column}")
        return any(matches(names[min(pattern.count("."), 2)], (pattern,)) for pattern in self.hidden_values)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name matches one of the patterns, ignoring case."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def looks_sensitive(column_name: str) -> bool:
    """Return whether a column's name suggests secrets or personal data.

    In doubt it returns True: a missing list of values costs a hint, but values that were sent to the model's
    provider cannot be taken back.
    """
    words = split_words(column_name)
    return bool(_ANYWHERE.search(column_name.lower())) or not _AS_A_WORD.isdisjoint(words)
