import re

import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.errors import InvalidArgumentError
from pgmcp.surface.schema_pages import MAX_WHOLE_CHARACTERS, PAGE_CHARACTERS, describe_page, describe_schema

_COLUMN = Column("id", "integer", nullable=False, comment="a word or two on what it is for " * 5)


def catalog(table_count: int) -> Catalog:
    """Tables of 40 columns, about 8,000 characters each."""
    columns = tuple(
        Column(f"column_{number}", "integer", nullable=True, comment=_COLUMN.comment) for number in range(40)
    )
    tables = tuple(
        Table("public", f"table_{number:05}", TableKind.TABLE, "", columns) for number in range(table_count)
    )
    return Catalog(tables, ("public",), "18.1")


@pytest.fixture(scope="module")
def long_catalog() -> Catalog:
    return catalog(200)


def tables_in(text: str) -> list[str]:
    return re.findall(r"^table (table_\d+)", text, re.MULTILINE)


def page_count(text: str) -> int:
    last = re.search(r"to schema://shop\?page=(\d+);", text)
    assert last is not None, text[:200]
    return int(last[1])


def test_a_schema_that_fits_is_shown_in_one_piece() -> None:
    text = describe_schema("shop", catalog(3))

    assert tables_in(text) == ["table_00000", "table_00001", "table_00002"]
    assert "column_39" in text
    assert "page" not in text


def test_a_long_schema_shows_names_and_the_uris_of_its_pages(long_catalog: Catalog) -> None:
    text = describe_schema("shop", long_catalog)

    assert len(tables_in(text)) == 200
    assert "column_1" not in text
    assert "schema://shop?page=1 to schema://shop?page=" in text


def test_the_pages_together_show_every_table_once_in_order(long_catalog: Catalog) -> None:
    count = page_count(describe_schema("shop", long_catalog))
    pages = [describe_page("shop", long_catalog, str(number)) for number in range(1, count + 1)]

    listed = [table for page in pages for table in tables_in(page)]
    assert listed == [table.name for table in long_catalog.tables]
    assert all(len(page) < PAGE_CHARACTERS * 1.1 for page in pages)
    assert all(page.count("column_39") == len(tables_in(page)) for page in pages)


def test_every_page_but_the_last_says_where_the_next_is(long_catalog: Catalog) -> None:
    count = page_count(describe_schema("shop", long_catalog))

    assert "next: schema://shop?page=2" in describe_page("shop", long_catalog, "1")
    assert "next" not in describe_page("shop", long_catalog, str(count)).splitlines()[0]


@pytest.mark.parametrize("page", ["0", "99", "-1", "two", "", "1.5", "²", "9" * 5_000])
def test_a_missing_page_is_refused_with_the_existing_ones(page: str, long_catalog: Catalog) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        describe_page("shop", long_catalog, page)

    assert "there are pages 1 to" in refused.value.hint
    assert len(str(refused.value)) < 100


def test_a_schema_that_fits_has_one_page() -> None:
    assert tables_in(describe_page("shop", catalog(2), "1")) == ["table_00000", "table_00001"]


def test_an_empty_schema_is_shown_as_empty() -> None:
    assert "0 tables" in describe_schema("shop", catalog(0))
    assert "Page 1 of 1" in describe_page("shop", catalog(0), "1")


def test_a_list_of_too_many_names_is_cut_between_names_and_marked() -> None:
    tables = tuple(
        Table("public", f"table_{'x' * 50}_{number:05}", TableKind.TABLE, "", ()) for number in range(8_000)
    )

    text = describe_schema("shop", Catalog(tables, ("public",), "18.1"))

    assert len(text) < MAX_WHOLE_CHARACTERS * 1.01
    assert text.splitlines()[-2] == "…"
    assert re.fullmatch(r"table table_x+_\d{5}", text.splitlines()[-3])
