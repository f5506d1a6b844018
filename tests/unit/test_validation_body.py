import pytest

from pgmcp.validation.body import BodyText
from pgmcp.validation.plpgsql import read_plpgsql


def body(text: str, language: str = "plpgsql") -> BodyText:
    return BodyText(f"CREATE FUNCTION f() AS $function${text}$function$", language)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("select strike()", ("", "strike")),
        ("select trap.strike (1)", ("trap", "strike")),
        ('select "trap" . "strike"(1)', ("trap", "strike")),
        ("select STRIKE()", ("", "strike")),
        ('select "Strike it"()', ("", "Strike it")),
        ("select strike/* /* why */ not */ (1)", ("", "strike")),
        ("select strike -- why not\n(1)", ("", "strike")),
        ("select shop.trap.strike(1)", ("trap", "strike")),
        ("select strike$1(1)", ("", "strike$1")),
        ("select '/*' || strike /* why */ (1) || '*/'", ("", "strike")),
        ("select '--' || strike /* why */ (1)", ("", "strike")),
        ("select strike --why\r(1)", ("", "strike")),
        ("for i in 1..strike(2) loop", ("", "strike")),
        ("select 'select strike(1)'", ("", "strike")),
        ("select 'select ''strike(1)'''", ("", "strike")),
        ("select $x$select strike(1)$x$", ("", "strike")),
        ("select strike\u00a0(1)", ("", "strike\u00a0")),
        ("select strike🙂(1)", ("", "strike🙂")),
        ("select STRIKÉ(1)", ("", "strikÉ")),
        ("select STRIKÉ(1)", ("", "striké")),
        ('select u&"strik\\0065"()', ("", "strike")),
        ('select u&"strik\\+000065" . U&"\\d83d\\de00"()', ("strike", "😀")),
        ('select "' + "a" * 70 + '"()', ("", "a" * 63)),
        ("select " + "é" * 40 + "()", ("", "é" * 31)),
    ],
)
def test_a_name_before_a_parenthesis_is_a_call(text: str, call: tuple[str, str]) -> None:
    assert call in body(text).calls


def test_names_after_a_dot_are_recognised() -> None:
    assert {"strike", "Struck"} <= body('select (5). strike, c."Struck"').fields


def test_names_end_where_the_body_does() -> None:
    assert {"email", "Customers", "customers"} <= body("select Customers.x::email").names


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("1 === 2", "==="),
        ("1===-1", "==="),
        ("1===--x", "==="),
        ("1===/* x */2", "==="),
        ("+-1", "-"),
        ("x:=@#1", "@#"),
    ],
)
def test_operators_are_split_as_the_server_does(text: str, symbol: str) -> None:
    assert symbol in body(text).symbols


def test_an_assignment_is_not_an_operator() -> None:
    assert body("x := 1").symbols == set()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("begin execute 'select st' || 'rike()'; end", "plpgsql"),
        ("begin execute format('select %s()', name); end", "plpgsql"),
        ("begin return query EXECUTE text; end", "plpgsql"),
        ("begin execute E'select \\x73trike()'; end", "plpgsql"),
        ("begin return query execute $$ select 1 $$ || name; end", "plpgsql"),
        ("begin return query execute 'select 1' -- why\n || name; end", "plpgsql"),
        ("begin return query execute u&'select \\0031'; end", "plpgsql"),
        ("begin execute 'begin execute name; end;'; end", "plpgsql"),
        ("begin select nextval into x ('s'); end", "plpgsql"),
        ("begin select nextval INTO STRICT x, y ('s'); end", "plpgsql"),
        ("begin select nextval /* why */ into b.r.x ('s'); end", "plpgsql"),
        ("begin select ('s'::regclass). into x nextval; end", "plpgsql"),
        ("begin select n from private. into x secret_view; end", "plpgsql"),
        ("begin select n from private into b.r.x .secret_view; end", "plpgsql"),
        ("begin select t into b.r.x.strike from t; end", "plpgsql"),
        ("begin select t into y, b.r.x.strike from t; end", "plpgsql"),
        ("begin select n from U&\"pr!0069vate\" into x uescape '!' .t; end", "plpgsql"),
        ("select u&\"strik!0065\" uescape '!' ()", "sql"),
        ("select 'no end", "sql"),
        ("for i in 1..straße() loop", "plpgsql"),
        ("for i in 1..strike$1() loop", "plpgsql"),
        ("set standard_conforming_strings to off; select '\\'' || strike() || '\\''", "sql"),
    ],
)
def test_sql_that_is_put_together_at_run_time_is_noticed(text: str, language: str) -> None:
    assert body(text, language).hides_calls


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("begin execute 'select count(*) from customers' into n; end", "plpgsql"),
        ("begin return query execute 'select 1 where $1 > 0' using n; end", "plpgsql"),
        ("begin execute 'select ''it''''s'''; end", "plpgsql"),
        ("begin return executed + 1; end", "plpgsql"),
        ("begin select a, b into strict b.r.x, y from t where (a) = 1; end", "plpgsql"),
        ("begin insert into t (a) values (1); end", "plpgsql"),
        ("select nextval into x ('s')", "sql"),
        ("begin return query execute /* all */ $x$ select 1 $x$; end", "plpgsql"),
        ("begin for r in execute 'select 1' loop end loop; end", "plpgsql"),
        ("begin return has_function_privilege('f()', 'execute'); end", "plpgsql"),
        ("begin return 'it''s not SQL ('; end", "plpgsql"),
        ("-- to execute later\nselect 1", "plpgsql"),
        ('begin select u&"strik\\0065"(); end', "plpgsql"),
        ("select 'execute ' || name", "sql"),
    ],
)
def test_sql_in_the_body_hides_nothing(text: str, language: str) -> None:
    assert not body(text, language).hides_calls


def test_names_after_quotation_marks_in_comments_are_recognised() -> None:
    assert "pg_shadow" in body('select passwd /* " */ from pg_shadow /* " */').names


def test_a_name_in_a_comment_is_not_a_call() -> None:
    assert body("select 1 -- not strike()\n /* nor trap() */").calls == set()


@pytest.mark.parametrize(
    "body",
    [
        "BEGIN x :",
        "BEGIN FOR i IN",
        "BEGIN FOR i IN a.",
        "BEGIN " + "IF a THEN " * 400 + "NULL; " + "END IF; " * 400 + "END",
    ],
    ids=["assignment", "loop", "range", "deep"],
)
def test_a_body_that_ends_early_or_nests_too_deep_has_no_clear_structure(body: str) -> None:
    assert read_plpgsql(body) is None


def test_a_loop_may_begin_with_another_loop() -> None:
    found = read_plpgsql("BEGIN LOOP LOOP EXIT WHEN done(); END LOOP; EXIT; END LOOP; END")

    assert found is not None
    assert [len(found.roots), found.rest] == [1, []]


@pytest.mark.parametrize(
    "text",
    [
        "declare c cursor (a int =-strike()) for select a; begin return 1; end",
        "declare a alias for b + strike(); begin return 1; end",
        "declare n int; begin get diagnostics n =-strike(); return n; end",
        "declare a int[]; begin get diagnostics a[strike()] = row_count; return 1; end",
        "declare a int[]; begin get stacked diagnostics n = message_text, a[strike()] := row_count; end",
        "begin raise x +strike(); end",
        "begin return 1; exception when x +strike() then return 1; end",
    ],
)
def test_a_place_of_names_that_has_an_operator_is_not_clear(text: str) -> None:
    assert read_plpgsql(text) is None
    assert ("", "strike") in body(text).around_statements.calls


@pytest.mark.parametrize(
    "text",
    [
        "declare n int =-strike(); begin return n; end",
        "declare n int:=-strike(); begin return n; end",
        "declare n constant numeric(10, 2)=+strike(); begin return n; end",
        "declare n int; begin n=-strike(); return n; end",
        "declare n int; begin n :=+strike(); return n; end",
        "declare n int; begin get current diagnostics n = row_count, n.x := pg_context; n =-strike(); end",
    ],
)
def test_a_sign_directly_after_an_assignment_begins_an_expression(text: str) -> None:
    found = read_plpgsql(text)

    assert found is not None
    assert [found.rest, found.is_whole] == [[], True]
    assert "strike" in str(found.roots)


@pytest.mark.parametrize(
    ("text", "is_hidden"),
    [
        (r"begin perform 'a\', '; perform strike(); --'; end", True),
        (r"begin perform n'a\', '; perform strike(); --'; end", True),
        (r"begin perform 'a\\\', '; perform strike(); --'; end", True),
        (r"begin perform 'a\\', '; perform strike(); --'; end", False),
        (r"begin perform e'a\', '; perform strike(); --'; end", False),
        (r"begin perform '\', '\'; end", False),  # a string without an end
        (r"begin perform replace(x, '\', '/'), '\d'; end", False),
        ("begin perform " + r"'a\'b', " * 40 + "1; end", True),
    ],
)
def test_a_body_that_has_other_strings_with_escapes_may_hide_calls(text: str, is_hidden: bool) -> None:
    assert body(text).hides_calls is is_hidden


def test_a_name_with_a_letter_that_only_python_folds_to_ascii_is_not_read() -> None:
    kelvin = "\N{KELVIN SIGN}"

    assert read_plpgsql("declare k int; begin k := 1; end") is not None
    assert read_plpgsql(f"declare {kelvin} int; begin k := 1; end") is None
