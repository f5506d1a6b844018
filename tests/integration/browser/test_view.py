"""The whole view in a real browser: chart, SQL, failures, its host, and forbidden actions."""

from typing import TYPE_CHECKING, Any

import pytest

from pgmcp.charts.specification import Theme, theme_config
from scripts.build_view import LICENSES, NODE_MODULES, PAGE, build
from tests.integration.browser.conftest import Show
from tests.integration.browser.host_page import host_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


BY_STATUS = "select status::text, count(*) as orders from orders group by 1 order by 2 desc"
NEVER_ORDERED = "Which products have never been ordered?"
PAINTED_PIXELS = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length;
}"""
DARK_TEXT = "getComputedStyle(document.body).color === 'rgb(232, 234, 237)'"
CHART_HAS_COLOUR = """[...document.querySelectorAll('canvas')].some(canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255 && data.slice(at, at + 3).join(' ') === '%s') return true;
    }
    return false;
})"""
HOSTILE_TEXTS = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "javascript:alert(3)",
    "'\"><svg onload=alert(4)>",
    "{{constructor.constructor('alert(5)')()}}",
    "safe\u202etxt.exe",
    "zero\u200bwidth",
    "line\nbreak",
)
STATES = {
    "chart": {"tool": "execute_sql", "sql": BY_STATUS},
    "table": {"tool": "execute_sql", "sql": "select id, name, null as nothing from products order by id"},
    "empty": {"tool": "execute_sql", "sql": "select id from products where false"},
    "failure": {"tool": "execute_sql", "sql": "select nam from products"},
    "not executed": {"tool": "query", "question": NEVER_ORDERED, "return_type": "sql"},
}


def chart_is_drawn_in(theme: Theme) -> str:
    """Return the condition, for `HostPage.becomes`, that a chart has marks in the colour of a theme."""
    colour = bytes.fromhex(theme_config(theme)["mark"]["color"].removeprefix("#"))
    return CHART_HAS_COLOUR % " ".join(map(str, colour))


def test_a_chart_is_drawn_without_eval_and_has_a_text_alternative(show: Show) -> None:
    host = show("execute_sql", sql=BY_STATUS)

    chart = host.view.get_by_role("img")
    assert chart.get_attribute("aria-label").startswith("Bar chart of orders by status: 6 bars")  # type: ignore[union-attr]
    assert chart.locator("canvas").evaluate(PAINTED_PIXELS) > 5_000


def test_numbers_that_a_chart_leaves_out_are_named_below_it(show: Show) -> None:
    months = "('2026-01-01', 1), ('2026-02-01', 2), ('2026-03-01', 3)"
    host = show(
        "execute_sql", sql=f"select d::date, n, n * 1000.0 as large from (values {months}) as t (d, n)"
    )

    assert host.view.get_by_role("figure").inner_text() == "Not drawn: large"


def test_arrow_keys_lead_from_the_chart_to_the_table_and_the_sql(show: Show) -> None:
    host = show("execute_sql", sql=BY_STATUS)
    host.view.get_by_role("tab", name="Chart").focus()

    host.page.keyboard.press("ArrowRight")

    assert host.view.get_by_role("grid").is_visible()
    assert not host.view.get_by_role("img").is_visible()

    host.page.keyboard.press("ArrowRight")

    assert host.sql.inner_text() == BY_STATUS


def test_the_chart_follows_the_theme_of_the_host(show: Show) -> None:
    host = show("execute_sql", sql=BY_STATUS, context={"theme": "light"})
    assert host.becomes(chart_is_drawn_in(Theme.LIGHT))

    host.page.evaluate("setContext({theme: 'dark'})")

    assert host.becomes(DARK_TEXT)
    assert host.becomes(chart_is_drawn_in(Theme.DARK))


def test_a_theme_that_comes_while_the_table_is_shown_reaches_the_chart(show: Show) -> None:
    host = show("execute_sql", sql=BY_STATUS, context={"theme": "light"})
    host.open_tab("Table")

    for theme in ("dark", "light", "dark"):
        host.page.evaluate("theme => setContext({theme})", theme)
    assert host.becomes(DARK_TEXT)
    host.open_tab("Chart")

    assert host.becomes(chart_is_drawn_in(Theme.DARK))


def test_a_verified_answer_shows_its_question_its_sql_and_where_it_comes_from(show: Show) -> None:
    host = show("query", question="How many active users do we have?")

    assert host.view.get_by_role("heading").inner_text() == "How many active users do we have?"
    host.open_tab("SQL")
    assert host.sql.inner_text().startswith("select count(*) as active_users")
    terms = host.view.locator("dt").all_inner_texts()
    facts = dict(zip(terms, host.view.locator("dd").all_inner_texts(), strict=True))
    assert (facts["Source"], facts["Database"]) == ("Verified by the operator", "shop")


def test_the_sql_is_copied_as_it_is(show: Show) -> None:
    sql = "select 'it''s' as a, -- a comment\n\t\"b\" from (select 1 as b) as x where true"
    host = show("execute_sql", sql=sql)
    host.open_tab("SQL")

    host.view.get_by_role("button", name="Copy SQL").click()

    host.view.get_by_text("SQL copied").wait_for(state="attached")
    assert host.clipboard == sql


def test_a_statement_that_was_not_executed_is_shown_alone(show: Show) -> None:
    host = show("query", question=NEVER_ORDERED, return_type="sql")

    assert "not executed" in host.view.locator("header").inner_text()
    assert host.sql.is_visible()
    assert host.view.get_by_role("tab").count() == 0


def test_a_failure_shows_its_position_and_a_hint(show: Show) -> None:
    host = show("execute_sql", sql="select nam from products")

    alert = host.view.get_by_role("alert").inner_text()
    assert 'column "nam" does not exist' in alert
    assert "line 1: select nam from products" in alert
    assert "To fix it: Perhaps you meant" in alert
    assert host.sql.inner_text() == "select nam from products"


def test_hostile_values_and_names_stay_text(show: Show) -> None:
    texts = ", ".join("E'" + text.replace("'", "''").replace("\n", "\\n") + "'" for text in HOSTILE_TEXTS)
    host = show("execute_sql", sql=f"""select unnest(array[{texts}]) as "<b>bold</b><img src=x>" """)
    shown = host.view.locator("tbody td").all_inner_texts()

    assert shown[:5] == list(HOSTILE_TEXTS[:5])
    assert shown[5:] == [r"safe\u202etxt.exe", r"zero\u200bwidth", r"line\nbreak"]
    assert host.view.get_by_role("columnheader").inner_text() == "<b>bold</b><img src=x>\ntext"
    assert host.view.locator("main :is(img, svg, script, b)").count() == 0

    for cell in host.view.locator("tbody td").all():
        cell.dblclick()

    assert host.view.locator("main :is(img, svg, script, b)").count() == 0


def test_hostile_values_in_a_chart_stay_text(show: Show) -> None:
    values = ", ".join(
        f"('{text.replace(chr(39), chr(39) * 2)}', {n})" for n, text in enumerate(HOSTILE_TEXTS[:4])
    )
    host = show(
        "execute_sql", sql=f"""select * from (values {values}) as t ("datum['x'] <img>", "__proto__") """
    )

    assert host.view.locator("canvas").evaluate(PAINTED_PIXELS) > 1_000


def test_hostile_text_in_a_failure_stays_text(show: Show) -> None:
    host = show("execute_sql", sql="select '<img src=x onerror=alert(1)>'::integer")

    assert "<img src=x onerror=alert(1)>" in host.view.get_by_role("alert").inner_text()
    assert host.view.locator("main img").count() == 0


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.innerHTML = '<img src=x>'",
        "eval('1')",
        "new Function('return 1')()",
        "fetch('https://elsewhere.test/')",
        "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
    ],
)
def test_the_browser_enforces_the_content_security_policy_of_the_page(
    attempt: str, browser: "Browser", resource: dict[str, Any]
) -> None:
    with host_page(browser) as host:
        host.open(resource)

        refused = host.view.evaluate(
            f"""() => {{
                const refused = new Promise((tell) => {{
                    document.addEventListener('securitypolicyviolation', () => tell(true), {{once: true}});
                    setTimeout(() => tell(false), 5000);
                }});
                // In a task of its own: what the debugger itself evaluates may use eval.
                setTimeout(() => {{ {attempt} }});
                return refused;
            }}"""
        )

        assert refused
        assert host.leaks == []


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_wrong_in_either_theme(state: str, show: Show) -> None:
    host = show(**STATES[state])

    for theme in ("light", "dark"):
        host.page.emulate_media(color_scheme=theme)
        assert host.violations() == [], theme
        for tab in host.view.get_by_role("tab").all():
            tab.click()
            assert host.violations() == [], (theme, tab.inner_text())


def test_the_view_takes_the_colours_and_fonts_of_its_host(show: Show) -> None:
    variables = {"--color-background-primary": "rgb(1, 2, 3)", "--font-sans": "serif", "--evil": "x"}
    host = show("execute_sql", sql="select 1", context={"theme": "dark", "styles": {"variables": variables}})

    looks = host.view.evaluate(
        """() => [getComputedStyle(document.documentElement).backgroundColor,
                  getComputedStyle(document.body).fontFamily,
                  document.documentElement.style.getPropertyValue('--evil')]"""
    )
    assert looks == ["rgb(1, 2, 3)", "serif", ""]


def test_the_host_learns_how_high_the_view_is(show: Show) -> None:
    host = show("execute_sql", sql="select id, name from products order by id")

    host.page.wait_for_function("sizes.at(-1) > 400")
    assert host.view.evaluate("document.documentElement.scrollHeight <= innerHeight + 1")


def test_the_view_keeps_to_the_height_its_host_allows(show: Show) -> None:
    host = show(
        "execute_sql",
        sql="select id, name from products",
        context={"containerDimensions": {"maxHeight": 300}},
    )

    host.page.wait_for_function("sizes.at(-1) === 300")
    assert host.view.get_by_role("grid").is_visible()


def test_the_view_fills_the_screen_when_the_host_can_and_the_reader_wants(show: Show) -> None:
    host = show("execute_sql", sql="select 1", context={"availableDisplayModes": ["inline", "fullscreen"]})

    host.view.get_by_role("button", name="Expand").click()

    host.view.wait_for_selector("html.filling")


def test_a_cancelled_call_says_so(show: Show) -> None:
    host = show("execute_sql", sql="select 1 as one")

    host.page.evaluate("cancel()")

    host.view.get_by_text("Cancelled. select 1 as one").wait_for()


def test_the_host_can_close_the_view(show: Show) -> None:
    host = show("execute_sql", sql="select 1")

    assert host.page.evaluate("teardown()") == {}


def test_the_committed_page_is_what_its_source_builds() -> None:
    if not (NODE_MODULES / "esbuild").is_dir():
        pytest.skip("npm packages are missing: uv run scripts/build_view.py --install")

    view = build()

    assert view.page == PAGE.read_text("utf-8"), "run uv run scripts/build_view.py"
    assert view.licenses == LICENSES.read_text("utf-8"), "run uv run scripts/build_view.py"
