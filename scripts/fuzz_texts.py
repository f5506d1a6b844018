"""Generates random texts for `scripts.fuzz_validator`. The same seed gives the same texts."""

import random
import re
from collections.abc import Callable, Iterator
from typing import Final

from testing.statements import attacks, honest_statements

MAX_KNOWN_CHARACTERS: Final = 5_000
"""Longer texts would only slow down the search; unit tests cover them."""

FORBIDDEN_CALLS: Final = (
    "pg_read_file('forbidden')",
    "('forbidden'::text).pg_read_file",
    "(select 'forbidden'::text).pg_read_file",
    "(array['forbidden'])[1].pg_read_file",
    "(select f.pg_read_file from unnest(array['forbidden']) as f)",
)

# `$` stands for an expression, `@` for a query, `#` for a name.
_EXPRESSIONS: Final = (
    "1", "'a'", "null", "#", "#.#", "now()", "($)", "- $", "not $", "$ + $", "$ || $", "$ -> $",
    "$ = any ($)", "$ between $ and $", "$ in ($, $)", "$ in (@)", "exists (@)", "(@)", "array(@)",
    "array[$, $]", "row($, $)", "($)[1]", "(array[$])[$:$]", "($).#", "$::text", "cast($ as text)",
    "coalesce($, $)", "nullif($, $)", "greatest($, $)", "case when $ then $ else $ end",
    "case $ when $ then $ end", "$ like $ escape $", "$ is distinct from $", "$ is null", "$ is json",
    "$ at time zone $", "$ collate \"C\"", "abs($)", "make_interval(days => $)",
    "format('%s', variadic array[$])", "count(distinct $)", "sum($) filter (where $)",
    "string_agg($, $ order by $)",
    "sum($) over (partition by $ order by $ rows between $ preceding and current row)",
    "percentile_cont($) within group (order by $)", "extract(year from $)", "substring($ from $ for $)",
    "position($ in $)", "overlay($ placing $ from $)", "trim(both $ from $)",
    "xmlelement(name a, xmlattributes($ as b), $)", "xmlforest($ as a)", "xmlserialize(content $ as text)",
    "xmlexists($ passing $)", "json_object('a': $)", "json_array($, $)", "json_array(@)",
    "json_value($, '$.a' passing $ as x default $ on empty)", "json_query($, '$')", "json_serialize($)",
    "json_scalar($)", "json_arrayagg($ order by $)", "grouping($)", "$ operator(pg_catalog.+) $",
    "($, $) = ($, $)", "($, $) overlaps ($, $)", "date '2026-01-01' + $",
)  # fmt: skip
_QUERIES: Final = (
    "select $", "select $, $ as # from *", "select distinct on ($) $ from * where $",
    "values ($, $), ($, $)", "select $ from * group by $ having $",
    "select $ from * group by rollup ($), cube ($, $)",
    "select $ from * order by $ desc nulls last limit $ offset $", "@ union all @", "(@) except (@)",
    "with # as (@) select $ from #", "with recursive # as (@ union all @) select $ from #",
    "select $ from * window # as (partition by $ order by $)",
    "select $ from * fetch first 3 rows with ties",
)  # fmt: skip
_SOURCES: Final = (
    "#", "# as t", "(@) as #", "* join * on $", "* left join lateral (@) as # on $", "*, lateral (@) as #",
    "generate_series($, $) as #", "rows from (generate_series($, $), unnest($)) with ordinality as #",
    "# tablesample bernoulli ($) repeatable ($)", "unnest($, $) as #", "* natural join *",
    "json_table($, '$' passing $ as x columns (a text path '$' default $ on empty)) as #",
    "xmltable($ passing $ columns a text path $ default $) as #",
)  # fmt: skip
_CHOICES_BY_SIGN: Final = {
    "$": _EXPRESSIONS,
    "@": _QUERIES,
    "*": _SOURCES,
    "#": ("a", "b", '"C d"', "orders"),
}
_LEAF_BY_SIGN: Final = {"$": "1", "@": "select 1", "*": "orders", "#": "a"}
_SQL_SIGNS_IN_TEXT: Final = "'$"  # a JSON path, not an expression

_LITERALS: Final = (
    "0", "1", "2147483647", "999999999", "0.5", "''", "'a'", "'pg_authid'", "'pg_catalog'", "'public'",
    "'ssl_passphrase_command'", "'primary_conninfo'", "'regclass'", "'int'", "'1 day'", "'$.a'",
    "'a b'", "'%'", "'2026-01-01'", "'select 1'", "'C'", "'off'",
)  # fmt: skip
_NAMES: Final = ("a", "orders", "zq1", "zq2", "date", "count", "if", "update", "pg_type", "typname", "at")
_NAME: Final = re.compile(r"(?<!\w)[A-Za-z_]\w*")
_LITERAL: Final = re.compile(r"'[^']*'|(?<![\w.])\d+(?:\.\d+)?(?![\w.])")

_WORDS: Final = """
    select from where and or not union all values table with as ( ) ( ) [ ] , ; . :: + - * / = < > || ->
    case when then else end join on using group by order having limit in is null between like exists any
    array row cast int date interval '1' 1 1.5 $$x$$ $1 "x" a b filter over partition within json_table
    columns nested path '$' lateral explain analyze show into for update delete insert returning recursive
    E'\\'' U&'x' /* */ -- collate at time zone distinct default operator only tablesample window rows
    preceding current \x01 é \u2028 { } ? @ # % ^ & ~ !
""".split()  # noqa: SIM905 - a hundred words would be hard to read, one per line


class Grammar:
    """Generates random reads up to a depth."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def query(self, depth: int) -> str:
        """Return a query with a forbidden call at a random place where an expression is allowed."""
        template = self._expand("@", depth)
        places = [at for at, sign in enumerate(template) if sign == "\x00"]
        call = self._chance.choice(FORBIDDEN_CALLS)
        if not places:
            return f"select {call}"
        chosen = self._chance.choice(places)
        return (template[:chosen] + call + template[chosen + 1 :]).replace("\x00", "1")

    def _expand(self, sign: str, depth: int) -> str:
        """Return the text of a placeholder; each NUL in it marks a place for an expression."""
        if depth <= 0:
            return "\x00" if sign == "$" else _LEAF_BY_SIGN[sign].replace("1", "\x00")
        written = []
        production = self._chance.choice(_CHOICES_BY_SIGN[sign])
        for at, letter in enumerate(production):
            is_sign = letter in _CHOICES_BY_SIGN and production[max(0, at - 1) : at + 1] != _SQL_SIGNS_IN_TEXT
            written.append(self._expand(letter, depth - 1) if is_sign else letter)
        return "".join(written)


def texts(seed: int) -> Iterator[tuple[str, bool]]:
    """Yield random texts without end, each with whether it must be refused."""
    chance = random.Random(seed)  # noqa: S311 - it only has to be repeatable
    known = [text for text in attacks() + honest_statements() if len(text) < MAX_KNOWN_CHARACTERS]
    grammar = Grammar(chance)
    while True:
        yield _mutant(chance, known), False
        yield " ".join(chance.choices(_WORDS, k=chance.randint(1, 80))), False
        yield grammar.query(chance.randint(2, 5)), True
        yield _with_other_literals(chance, chance.choice(known)), False
        yield _with_other_names(chance, chance.choice(known)), False


def _with_other_literals(chance: random.Random, text: str) -> str:
    return _LITERAL.sub(lambda match: chance.choice([match[0], *chance.choices(_LITERALS, k=3)]), text)


def _with_other_names(chance: random.Random, text: str) -> str:
    words = [*_NAMES, *chance.choices(_WORDS, k=2)]
    return _NAME.sub(lambda match: chance.choice([match[0], match[0], chance.choice(words)]), text)


def _mutant(chance: random.Random, known: list[str]) -> str:
    text = chance.choice(known)
    for _ in range(chance.randint(1, 3)):
        text = chance.choice(_MUTATIONS)(text, chance, known)
    return text


def _cut(text: str, chance: random.Random, _: list[str]) -> str:
    start, end = sorted(chance.randint(0, len(text)) for _ in range(2))
    return text[:start] + text[end:]


def _double(text: str, chance: random.Random, _: list[str]) -> str:
    start, end = sorted(chance.randint(0, len(text)) for _ in range(2))
    return text[:end] + text[start:end] * chance.choice([1, 2, 50]) + text[end:]


def _insert(text: str, chance: random.Random, _: list[str]) -> str:
    at = chance.randint(0, len(text))
    return f"{text[:at]} {chance.choice(_WORDS)} {text[at:]}"


def _nest(text: str, chance: random.Random, known: list[str]) -> str:
    outer = chance.choice(
        ["select * from (%s) x", "select (%s)", "with x as (%s) select 1", "explain %s", "%s; %s"]
    )
    return outer.replace("%s", text, 1).replace("%s", chance.choice(known))


def _replace_character(text: str, chance: random.Random, _: list[str]) -> str:
    at = chance.randint(0, len(text))
    return (
        text[:at]
        + chr(chance.choice([0, 10, 39, 34, 36, 92, 0xA0, 0x202E, 0xD800, 0x1F600]))
        + text[at + 1 :]
    )


_MUTATIONS: Final[tuple[Callable[[str, random.Random, list[str]], str], ...]] = (
    _cut,
    _double,
    _insert,
    _nest,
    _replace_character,
)
