"""Decodes the JSON cells that the statements of `queries` return, and resolves enums and domains."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

# Any: the statements in `queries` determine the type of each cell.
Row = list[Any]


class ColumnRow(msgspec.Struct, array_like=True, gc=False):
    """A column.

    Attributes:
        type_id: the OID of its type, which may be an enum or a domain.
        generated: pg_attribute.attgenerated; "" for an ordinary column.
    """

    number: int
    name: str
    type: str
    type_id: int
    is_text: bool
    nullable: bool
    default: str | None
    identity: str
    generated: str
    comment: str


class ConstraintRow(msgspec.Struct, array_like=True, gc=False):
    """A constraint; `kind` is pg_constraint.contype.

    Attributes:
        definition: the definition of CHECK and exclusion constraints, and of NOT NULL ones that are not
            validated.
        is_period: whether the last column is WITHOUT OVERLAPS in a key, or PERIOD in a foreign key.
    """

    kind: str
    column_numbers: list[int]
    referenced_id: int
    referenced_numbers: list[int]
    definition: str | None
    is_period: bool
    is_enforced: bool
    is_validated: bool
    nulls_not_distinct: bool


class IndexRow(msgspec.Struct, array_like=True, gc=False):
    """An index; expressions have the column number 0."""

    name: str
    definition: str | None
    is_unique: bool
    column_numbers: list[int]


class StatisticsRow(msgspec.Struct, array_like=True, gc=False):
    """Statistics of a column from the last ANALYZE.

    Attributes:
        listed: values that may be all values of the column; None if there are too many, or if this kind of
            column is not listed.
        bounds: some of its dates or numbers, including the least and the greatest; None for other types and
            for keys.
        distinct_count: estimated number of distinct values.
        is_fresh: whether few or no rows have changed since the ANALYZE (`queries.statistics`); None if it
            is not known.
    """

    number: int
    listed: tuple[str, ...] | None
    bounds: tuple[str | None, ...] | None
    distinct_count: float = 0
    is_fresh: bool | None = True

    @property
    def all_values(self) -> tuple[str, ...]:
        """All values that the column held when it was analysed; () if some are not known."""
        values = tuple(dict.fromkeys(self.listed or ()))
        return values if len(values) + 0.5 >= self.distinct_count else ()


_T = TypeVar("_T")
_MAX_SALVAGE_ATTEMPTS = 100


def decode_cut_array(decode: Callable[[str], _T], text: str, end_of_element: str) -> tuple[_T, bool]:
    """Return the complete elements of a JSON array, and whether its text was cut.

    Args:
        decode: decodes a JSON array.
        text: the array, perhaps without its end.
        end_of_element: `]` for an array of arrays, `"` for an array of texts, `,` after numbers.
    """
    if text.endswith("]"):
        return decode(text), False
    end = len(text)
    for _ in range(_MAX_SALVAGE_ATTEMPTS):
        end = text.rfind(end_of_element, 0, end)
        if end < 0:
            break
        try:
            return decode(text[: end + 1].removesuffix(",") + "]"), True
        except msgspec.DecodeError:
            continue
    return decode("[]"), True


decode_columns = msgspec.json.Decoder(list[ColumnRow]).decode
decode_constraints = msgspec.json.Decoder(list[ConstraintRow]).decode
decode_indexes = msgspec.json.Decoder(list[IndexRow]).decode
decode_statistics = msgspec.json.Decoder(list[StatisticsRow]).decode
decode_ids = msgspec.json.Decoder(list[int]).decode
decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode


class Types:
    """Resolves domains to their base types and enums to their labels.

    Args:
        enums: rows of `queries.ENUMS`.
        domains: rows of `queries.DOMAINS`.
    """

    def __init__(self, enums: Iterable[Row], domains: Iterable[Row]) -> None:
        self._labels: dict[int, tuple[str, ...]] = {}
        self._cut: set[int] = set()
        for id_, array_id, labels in enums:
            self._labels[id_], is_cut = decode_cut_array(decode_texts, labels, '"')
            self._labels[array_id] = self._labels[id_]
            if is_cut:
                self._cut |= {id_, array_id}
        self._base: dict[int, tuple[int, str]] = {id_: (base_id, base) for id_, base_id, base in domains}

    def full_name(self, name: str, type_id: int) -> str:
        """Return the type's name; the name of a domain is followed by its base type."""
        base_id, base = self._resolve(type_id, name)
        return name if base_id == type_id else f"{name} ({base})"

    def labels(self, type_id: int) -> tuple[str, ...]:
        """Return the labels of an enum or of an array of one; () for any other type."""
        base_id, _ = self._resolve(type_id, "")
        return self._labels.get(base_id, ())

    def are_labels_cut(self, type_id: int) -> bool:
        """Return whether the enum has more labels than could be read."""
        return self._resolve(type_id, "")[0] in self._cut

    def _resolve(self, type_id: int, name: str) -> tuple[int, str]:
        while type_id in self._base:
            type_id, name = self._base[type_id]
        return type_id, name
