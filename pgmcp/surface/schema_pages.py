"""Writes a whole schema as text that a host can attach: in one piece, or in pages if it is too long."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.rendering import render_names, render_overview
from pgmcp.errors import InvalidArgumentError
from pgmcp.surface.presenter import fenced

MAX_WHOLE_CHARACTERS: Final = 400_000
"""Maximum length of a schema in one piece. Hosts cut or refuse a resource near 1 MB."""

PAGE_CHARACTERS: Final = 100_000
"""Maximum length of a page (about 25,000 tokens), unless a single table is longer."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Represents a catalog as text, in pages.

    Attributes:
        heading: the first line, about the whole catalog.
        whole: the whole text; "" if it is too long for one piece.
        pages: the tables in the catalog's order; each page has as many as fit.
    """

    heading: str
    whole: str
    pages: tuple[str, ...]


_layouts: WeakKeyDictionary[Catalog, _Layout] = WeakKeyDictionary()


def describe_schema(database: str, catalog: Catalog) -> str:
    """Return the whole schema; for a long one, the names of its tables and the URIs of its pages."""
    layout = _lay_out(catalog)
    if layout.whole:
        return fenced(layout.whole)
    names = render_names(catalog.tables, catalog)
    if len(names) > MAX_WHOLE_CHARACTERS:
        names = names[:MAX_WHOLE_CHARACTERS].rpartition("\n")[0] + "\n…"
    last = f"schema://{database}?page={len(layout.pages)}"
    return (
        f"Only names, because the schema is long. Details: schema://{database}?page=1 to {last}; "
        f"one table: schema://{database}/table\n" + fenced(f"{layout.heading}\n\n{names}")
    )


def describe_page(database: str, catalog: Catalog, page: str) -> str:
    """Return one page of a schema, and the URI of the next.

    Args:
        page: the page's number in the URI, from 1 on.

    Raises:
        InvalidArgumentError: there is no such page.
    """
    pages = _lay_out(catalog).pages
    number = int(page[:9]) if page.isascii() and page.isdigit() else 0
    if not 1 <= number <= len(pages):
        raise InvalidArgumentError(f"no page {page[:32]!r}", hint=f"there are pages 1 to {len(pages)}")
    following = f"; next: schema://{database}?page={number + 1}" if number < len(pages) else ""
    return f"Page {number} of {len(pages)}{following}\n" + fenced(pages[number - 1])


def _lay_out(catalog: Catalog) -> _Layout:
    """Return a catalog's layout, which is computed only once, because a large one takes a second."""
    if catalog not in _layouts:
        whole = render_overview(catalog)
        # Empty lines occur only between tables, because each text from the database is on one line.
        heading, *tables = whole.rstrip("\n").split("\n\n")
        _layouts[catalog] = _Layout(
            heading, whole if len(whole) <= MAX_WHOLE_CHARACTERS else "", tuple(_pack(tables))
        )
    return _layouts[catalog]


def _pack(tables: Sequence[str]) -> Iterator[str]:
    page: list[str] = []
    length = 0
    for table in tables:
        if page and length + len(table) > PAGE_CHARACTERS:
            yield "\n\n".join(page)
            page, length = [], 0
        page.append(table)
        length += len(table)
    yield "\n\n".join(page)
