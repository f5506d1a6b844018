"""A refusal of the syntax, functions and operators of other systems says what PostgreSQL has instead."""

import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, validate

LISTS_OF_TABLES = "information_schema.tables and information_schema.columns list the tables and columns"
QUOTED_NAMES = 'names are quoted with double quotes, as in "name"'
VALUE = "write the value itself in the statement"
FIRST_WORDS = "a statement begins with SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW"
GENERAL = "write it in PostgreSQL's syntax"
LATERAL = "write CROSS JOIN LATERAL, or LEFT JOIN LATERAL … ON true"


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("describe users", LISTS_OF_TABLES),
        ("show columns from users", LISTS_OF_TABLES),
        ("\\d users", f"commands of psql are not SQL; {LISTS_OF_TABLES}"),
        ("use shop", "leave USE out; each call chooses its database"),
        ("```sql\nselect 1\n```", "send the statement without the code fence"),
        ("How many users are there?", FIRST_WORDS),
        ("  selct 1", FIRST_WORDS),
        ("select `name` from users", QUOTED_NAMES),
        ("select [first name] from users", QUOTED_NAMES),
        (
            "select array_agg(id)[1] from users",
            "put parentheses around the expression before the subscript, as in (f(a))[1]",
        ),
        ("select top 5 * from users", "write LIMIT 10 at the end"),
        ("select top(5) * from users", "write LIMIT 10 at the end"),
        ("select * from users limit 5, 10", "write LIMIT 10 OFFSET 20"),
        ("select now() - interval 1 day", "write interval '1 day'"),
        ("select a, b, from t", "remove the comma before this place"),
        ("select f(a, ) from t", "remove the comma before this place"),
        ("select sum(a) filter where b from t", "write FILTER (WHERE …)"),
        ("select * from t fetch first 2 rows", "FETCH FIRST 10 ROWS needs ONLY at its end"),
        (
            "select * from t qualify row_number() over (order by a) = 1",
            "select rank() or row_number() in a subquery, and filter by it outside",
        ),
        (
            "select * from t pivot (sum(a) for b in ('x'))",
            "use an aggregate for each column: sum(x) FILTER (WHERE kind = 'a') AS a",
        ),
        ("select * from t cross apply f(t.a)", LATERAL),
        ("select * from t lateral view explode(a) b", LATERAL),
        ("select * except (a) from t", "name the columns one by one"),
        ("select * from t where a regexp 'x'", "write a ~ 'pattern'"),
        ("select a from t minus select a from u", "write EXCEPT"),
        ("select a from t start with a = 1 connect by prior a = b", "write WITH RECURSIVE"),
        ("select * from t, u where t.a = u.a (+)", "write LEFT JOIN … ON …"),
        ("select * from t with (nolock)", "leave WITH (NOLOCK) out; reads do not wait for writes"),
        ("select a, sum(b) from t group by all", "name the columns after GROUP BY"),
        ("select 7 div 2 from t", "write div(a, b)"),
        ("select * from users where id = ?", VALUE),
        ("select * from users where id = ? and a = 1", VALUE),
        ("select * from users where id = %s", VALUE),
        ("select * from users where id = %(id)s", VALUE),
        ("select * from users where id = :id", VALUE),
        ("select * from users where id = {{ id }}", VALUE),
        ("select * from users where id = ${id}", VALUE),
        ("select * from users where", "complete it; the statement may have been cut off"),
        ("select * form users", GENERAL),
        ("select a from t where user.name = 1 order a", GENERAL),
        ("select ifnull(a, 0) from t", "write coalesce(a, b)"),
        ("select 1 == 1", "write ="),
        ("select lenght('a')", "similar names: length; check its name"),
        ("select strng_agg('a', ',')", "similar names: string_agg; check its name"),
        ("select foo('a')", "check its name"),
        ("begin; select 1; commit", "send one statement at a time, without BEGIN, COMMIT and SET"),
        ("select 1; select 2", "send one statement at a time"),
    ],
)
def test_a_refusal_says_what_postgresql_has_instead(sql: str, hint: str) -> None:
    with pytest.raises(SqlRejectedError) as refused:
        validate(sql, functions=FunctionPolicy())

    assert refused.value.hint.startswith(hint)


@pytest.mark.parametrize("length", [0, 1, 59, 60, 61, 5_000])
def test_words_far_from_the_error_do_not_choose_its_hint(length: int) -> None:
    sql = f"select 'top 5' as a, {'b, ' * length} c form d"

    with pytest.raises(SqlRejectedError) as refused:
        validate(sql, functions=FunctionPolicy())

    assert refused.value.hint.startswith(GENERAL)
