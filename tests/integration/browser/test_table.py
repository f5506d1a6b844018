"""The view's table in a real browser: display, sorting, filter and copying."""

import pytest

from tests.integration.browser.conftest import Show
from tests.integration.browser.host_page import HostPage

ODD_ORDERS = {
    "numeric": (
        ["9", "10", "-1.5", "12345678901234567890.2", "12345678901234567890.15", "NaN"],
        [2, 0, 1, 4, 3, 5],
    ),
    "bigint": (["9", "9007199254740993", "-9223372036854775808", "9007199254740992"], [2, 0, 3, 1]),
    "date": (["2026-01-02", "0044-03-15 BC", "infinity", "10000-01-01", "-infinity"], [4, 1, 0, 3, 2]),
    "timestamptz": (
        ["2026-01-01 00:30:00+02", "2025-12-31 23:00:00.5+00", "2025-12-31 23:00:00+00"],
        [0, 2, 1],
    ),
    "interval": (["2 days", "1 mon", "-01:00:00", "36:00:00"], [2, 3, 0, 1]),
    "boolean": (["true", "false"], [1, 0]),
    "text": (["row 10", "Row 9", "row 2", "zebra"], [2, 1, 0, 3]),
}


def cells(host: HostPage, column: int = 0) -> list[str]:
    return host.view.locator(f"tbody td[aria-colindex='{column + 1}']").all_inner_texts()


def values(type_name: str, texts: list[str]) -> str:
    listed = ", ".join(f"({place}, '{text}'::{type_name})" for place, text in enumerate(texts))
    return (
        f"select value, place from (values {listed}, ({len(texts)}, null)) as t (place, value) order by place"
    )


def test_rows_are_a_table_with_a_caption_and_typed_headers(show: Show) -> None:
    host = show("execute_sql", sql="select id, name from products order by id limit 2")

    grid = host.view.get_by_role("grid")
    assert grid.locator("caption").inner_text().startswith("2 rows")
    assert grid.locator("thead th[scope=col]").all_inner_texts() == ["id\ninteger", "name\ntext"]
    assert grid.get_attribute("aria-rowcount") == "3"
    assert cells(host) == ["1", "2"]


def test_null_differs_from_the_text_null_and_numbers_are_right_aligned(show: Show) -> None:
    host = show("execute_sql", sql="select null::text as a, 'NULL' as b, 1.50 as c")

    host.open_tab("Table")
    first, second, third = host.view.locator("tbody td").all()
    looks = "cell => [getComputedStyle(cell).fontStyle, getComputedStyle(cell).textAlign]"
    assert (first.inner_text(), first.evaluate(looks)) == ("NULL", ["italic", "left"])
    assert (second.inner_text(), second.evaluate(looks)) == ("NULL", ["normal", "left"])
    assert (third.inner_text(), third.evaluate(looks)) == ("1.50", ["normal", "right"])


@pytest.mark.parametrize("type_name", ODD_ORDERS)
def test_a_click_sorts_by_the_type_of_the_column_with_null_last(type_name: str, show: Show) -> None:
    texts, order = ODD_ORDERS[type_name]
    host = show("execute_sql", sql=values(type_name, texts))
    host.open_tab("Table")
    header = host.view.get_by_role("columnheader").first

    header.get_by_role("button").click()

    null = str(len(texts))
    assert header.get_attribute("aria-sort") == "ascending"
    assert cells(host, 1) == [*map(str, order), null]

    header.get_by_role("button").click()

    assert header.get_attribute("aria-sort") == "descending"
    assert cells(host, 1) == [*map(str, reversed(order)), null]

    header.get_by_role("button").click()

    assert header.get_attribute("aria-sort") == "none"
    assert cells(host, 1) == [*map(str, range(len(texts))), null]


def test_the_keyboard_sorts_moves_and_copies_a_cell(show: Show) -> None:
    host = show("execute_sql", sql="select g, 'x' || g as name from generate_series(1, 200) as g")
    host.view.get_by_role("tab", name="Table").focus()
    for key in ("Tab", "Tab", "Tab", "Tab"):  # filter, copy, CSV, table
        host.page.keyboard.press(key)

    for key in ("Enter", "Enter", "ArrowDown", "ArrowRight", "Control+c"):
        host.page.keyboard.press(key)

    assert host.view.get_by_role("grid").get_attribute("aria-activedescendant") == "r0c1"
    host.view.get_by_text("Cell copied").wait_for(state="attached")
    assert host.clipboard == "x200"

    host.page.keyboard.press("Control+End")

    assert host.view.locator("td.active").inner_text() == "x1"


def test_the_filter_keeps_the_rows_that_hold_a_text_and_says_how_many(show: Show) -> None:
    host = show(
        "execute_sql", sql="select 'Row ' || g as name, null as nothing from generate_series(1, 1000) as g"
    )

    host.view.get_by_role("searchbox").fill("row 99")

    assert cells(host)[:2] == ["Row 99", "Row 990"]
    assert host.view.locator("#status").inner_text() == "11 of 1,000 rows"

    host.view.get_by_role("searchbox").fill("no such row")

    assert host.view.locator("tbody").inner_text().strip() == "No row holds this text"


def test_the_rows_shown_are_copied_for_a_spreadsheet(show: Show) -> None:
    host = show(
        "execute_sql", sql="select * from (values (2, E'a\tb'), (1, 'c'), (3, null)) as t (n, \"the text\")"
    )
    host.open_tab("Table")
    host.view.get_by_role("columnheader").first.get_by_role("button").click()

    host.view.get_by_role("button", name="Copy", exact=True).click()

    host.view.get_by_text("Table copied").wait_for(state="attached")
    assert host.clipboard == 'n\tthe text\n1\tc\n2\t"a\tb"\n3\t'


def test_csv_is_quoted_and_no_cell_of_it_is_a_formula(show: Show) -> None:
    cells = (
        """'=1+1' as "=cmd", '-5' as b, -5.5 as c, 'a "quoted", text' as d, '' as e, null as f, ' @x' as g"""
    )
    host = show("execute_sql", sql=f"select {cells}")

    host.view.get_by_role("button", name="Copy CSV").click()

    host.view.get_by_text("CSV copied").wait_for(state="attached")
    header, row, rest = host.clipboard.split("\r\n")
    assert header == '"\'=cmd","b","c","d","e","f","g"'
    assert row == """'=1+1,'-5,-5.5,"a ""quoted"", text","",,' @x"""
    assert rest == ""


def test_csv_is_handed_to_a_host_that_downloads_files(show: Show) -> None:
    host = show("execute_sql", sql="select 1 as n", capabilities={"downloadFile": {}})
    host.open_tab("Table")

    host.view.get_by_role("button", name="Download CSV").click()

    host.view.get_by_text("CSV handed to the host").wait_for(state="attached")
    (content,) = host.page.evaluate("downloads")
    assert content["resource"] == {
        "uri": "file:///result.csv",
        "mimeType": "text/csv",
        "text": '"n"\r\n1\r\n',
    }


def test_a_long_cell_is_shown_completely_on_request(show: Show) -> None:
    host = show("execute_sql", sql="select repeat('0123456789', 1000) as long")

    host.view.locator("tbody td").click()

    inspector = host.view.get_by_role("region", name="Whole cell")
    assert inspector.locator("pre").inner_text() == "0123456789" * 1000
    assert len(host.view.locator("tbody td").inner_text()) < 400

    host.page.keyboard.press("Escape")

    assert not inspector.is_visible()


def test_of_a_thousand_rows_only_the_visible_ones_are_in_the_document(show: Show) -> None:
    columns = ", ".join(f"g * {number} as c{number}" for number in range(1, 11))
    host = show("execute_sql", sql=f"select {columns} from generate_series(1, 1000) as g")

    assert host.view.locator("tbody tr[aria-rowindex]").count() < 60

    host.view.locator(".scroller").evaluate("scroller => scroller.scrollTop = scroller.scrollHeight")

    host.view.locator("tbody tr[aria-rowindex='1001']").wait_for()
    assert cells(host)[-1] == "1000"


def test_rows_that_the_model_did_not_get_are_shown_with_a_remark(show: Show) -> None:
    host = show(
        "execute_sql", sql="select repeat('word ', 40) || g as long from generate_series(1, 1001) as g"
    )

    assert host.view.get_by_role("grid").get_attribute("aria-rowcount") == "1001"
    limit, given = host.view.get_by_role("list", name="Remarks").get_by_role("listitem").all_inner_texts()
    assert limit == "Only the first 1,000 rows were fetched: that is the limit, and there are more."
    assert given.startswith("The assistant was given ")


def test_a_result_without_rows_keeps_its_columns(show: Show) -> None:
    host = show("execute_sql", sql="select id, name from products where false")

    assert host.view.get_by_role("columnheader").count() == 2
    assert host.view.locator("tbody").inner_text().strip() == "No rows"


def test_a_result_without_columns_says_how_many_rows_it_has(show: Show) -> None:
    host = show("execute_sql", sql="select from generate_series(1, 3)")

    assert host.view.get_by_role("tabpanel").inner_text() == "3 rows without columns"
