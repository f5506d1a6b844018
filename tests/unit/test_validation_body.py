import pytest

from pgmcp.validation.body import BodyText


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
    ],
)
def test_what_looks_like_a_call_is_one(text: str, call: tuple[str, str]) -> None:
    assert call in body(text).calls


def test_names_behind_a_dot_are_known_as_such() -> None:
    assert {"strike", "Struck"} <= body('select (5). strike, c."Struck"').fields


def test_names_end_where_the_body_does() -> None:
    assert {"email", "Customers", "customers"} <= body("select Customers.x::email").names


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("1 === 2", "==="), ("1===-1", "==="), ("1===--x", "==="), ("1===/* x */2", "==="), ("+-1", "-")],
)
def test_operators_are_split_as_the_server_does(text: str, symbol: str) -> None:
    assert symbol in body(text).symbols


def test_an_assignment_is_no_operator() -> None:
    assert body("x := 1").symbols == set()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("begin execute 'select st' || 'rike()'; end", "plpgsql"),
        ("begin execute format('select %s()', name); end", "plpgsql"),
        ("begin return query EXECUTE text; end", "plpgsql"),
        ("begin execute E'select \\x73trike()'; end", "plpgsql"),
        ('begin select u&"strik\\0065"(); end', "plpgsql"),
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
        ("select 'execute ' || name", "sql"),
    ],
)
def test_sql_that_stands_in_the_body_hides_nothing(text: str, language: str) -> None:
    assert not body(text, language).hides_calls
