"""Base types of domains and labels of enums."""

from collections.abc import Iterable

from pgmcp.catalog.rows import Row, decode_texts, salvage


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
            self._labels[id_], is_cut = salvage(decode_texts, labels, '"')
            self._labels[array_id] = self._labels[id_]
            if is_cut:
                self._cut |= {id_, array_id}
        self._base: dict[int, tuple[int, str]] = {id_: (base_id, base) for id_, base_id, base in domains}

    def spell(self, name: str, type_id: int) -> str:
        """Return the type's name, for a domain followed by its base type."""
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
