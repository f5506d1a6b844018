"""Searches for texts that crash the validator, stall it, or pass it although they should not.

    python -m scripts.fuzz_validator --seconds 600

Child processes, which may die, try three kinds of text:

- mutants of the attacks and honest statements: parts cut out, doubled, swapped, wrapped;
- soup of the grammar's words;
- statements built from a grammar with one forbidden call at a random place, which must be refused;
- known statements with other literals. Two texts with the same template in `pgmcp.validation.memo`, of which
  one would be remembered and one is refused, are a hole;
- known statements with other names. Two texts with the same outline in `pgmcp.validation.outline`, of which
  sqlglot takes one for a read and not the other, are one as well.

Of each text, the quick estimate in `pgmcp.validation.bounds` must pass nothing that the lexer refuses, and
the quick tokenizer for the second grammar must give the tokens of sqlglot's own.

The seed is printed; the same seed gives the same texts.
"""

import argparse
import json
import multiprocessing
import random
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, StatementKind, bounds, prepare_outlines, validate
from pgmcp.validation.memo import template_of
from testing.statements import attacks, honest_statements

MAX_CPU_S: Final = 0.2
"""The design's gate for any text of up to 64 KB."""

MAX_KNOWN_CHARACTERS: Final = 5_000
"""Longer ones only slow down the search for others; tests look at them."""

FORBIDDEN_CALLS: Final = (
    "pg_read_file('forbidden')",
    "('forbidden'::text).pg_read_file",
    "(select 'forbidden'::text).pg_read_file",
    "(array['forbidden'])[1].pg_read_file",
    "(select f.pg_read_file from unnest(array['forbidden']) as f)",
)

# `$` is an expression, `@` a query, `#` a name.
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
_MAX_TEMPLATES: Final = 200_000

_WORDS: Final = """
    select from where and or not union all values table with as ( ) ( ) [ ] , ; . :: + - * / = < > || ->
    case when then else end join on using group by order having limit in is null between like exists any
    array row cast int date interval '1' 1 1.5 $$x$$ $1 "x" a b filter over partition within json_table
    columns nested path '$' lateral explain analyze show into for update delete insert returning recursive
    E'\\'' U&'x' /* */ -- collate at time zone distinct default operator only tablesample window rows
    preceding current \x01 é \u2028 { } ? @ # % ^ & ~ !
""".split()  # noqa: SIM905 - a hundred words in a column help nobody


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
        """Return text for a placeholder, in which each NUL marks a place for an expression."""
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


def judge(text: str, *, must_be_refused: bool) -> str:
    """Validate one text and return the outcome: "accepted", "refused", or what is wrong."""
    started_s = time.process_time()
    is_remembered = False
    try:
        statement = validate(text, functions=FunctionPolicy())
        outcome = "SLIPPED THROUGH" if must_be_refused else "accepted"
        is_remembered = statement.kind is StatementKind.QUERY and not statement.depends_on_literals
    except SqlRejectedError as error:
        # A refusal because of the syntax does not show whether the call is found.
        outcome = (
            "refused" if "pg_read_file" in str(error) or not must_be_refused else "refused for its syntax"
        )
    except Exception as error:
        outcome = f"RAISED {type(error).__name__}"
    if time.process_time() - started_s > MAX_CPU_S:
        return "TOOK TOO LONG"
    if not (_estimate_agrees(text) and _tokenizers_agree(text) and _outlines_agree(text)):
        return "SHORT CUT DISAGREES"
    return outcome if _agrees_with_siblings(text, outcome, is_remembered=is_remembered) else "MEMO DISAGREES"


def _estimate_agrees(text: str) -> bool:
    """Return whether the lexer trims a text as the quick estimate does, if that is sure of it."""
    try:
        bounds._check_characters(text)
    except SqlRejectedError:
        return True
    quick = bounds._trim_shallow(text)
    try:
        return quick is None or bounds._trim_exactly(text)[0] == quick[0]
    except SqlRejectedError:
        return False


def _tokenizers_agree(text: str) -> bool:
    """Return whether sqlglot finds the same tokens as the quick tokenizer, if that can read the text."""
    from pgmcp.validation import sqlglot_parser

    quick = None if sqlglot_parser._UNPLAIN.search(text) else sqlglot_parser._tokenize_plain(text)
    if quick is None:
        return True
    tokens = sqlglot_parser._DIALECT.tokenize(text)
    return [(each.token_type, each.text, each.start, each.end) for each in quick] == [
        (each.token_type, each.text, each.start, each.end) for each in tokens
    ]


_readings: dict[str, bool] = {}


def _outlines_agree(text: str) -> bool:
    """Return whether sqlglot accepts all texts with the same outline as one read, or none of them."""
    from pgmcp.validation import outline, second_opinion

    outlined = outline.outline_of(text.strip())
    if outlined is None:
        return True
    try:
        is_read = not second_opinion._other_than_one_read(second_opinion._parse(text.strip()))
    except Exception:  # cannot be compared
        return True
    if len(_readings) > _MAX_TEMPLATES:
        _readings.clear()
    return _readings.setdefault(outlined, is_read) == is_read


_verdicts: dict[str, set[str]] = {}


def _agrees_with_siblings(text: str, outcome: str, *, is_remembered: bool) -> bool:
    """Return whether no text is refused that has the template of a remembered, accepted one."""
    template = template_of(text.strip())
    if template is None or outcome not in ("accepted", "refused"):
        return True
    if len(_verdicts) > _MAX_TEMPLATES:
        _verdicts.clear()
    verdicts = _verdicts.setdefault(template, set())
    verdicts.add("remembered" if is_remembered else outcome)
    return not {"remembered", "refused"} <= verdicts


def _judge_all(pipe: Connection) -> None:
    prepare_outlines()
    while True:
        text, must_be_refused = pipe.recv()
        pipe.send(judge(text, must_be_refused=must_be_refused))


class Child:
    """A process that validates texts, and is replaced if it dies."""

    def __init__(self) -> None:
        self._start()

    def judge(self, text: str, must_be_refused: bool) -> str:
        """Return the outcome of a text."""
        try:
            self._pipe.send((text, must_be_refused))
            if self._pipe.poll(10):
                return str(self._pipe.recv())
            outcome = "HUNG"
        except (EOFError, OSError):
            outcome = "DIED"
        self.close()
        self._start()
        return outcome

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_judge_all, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._pipe.send(("select 1", False))  # loads the grammars before a text's time is measured
        self._pipe.recv()


def main() -> int:
    """Fuzz for a given time; return 1 if anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the run")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="repeat an earlier run")
    arguments = parser.parse_args()
    child = Child()
    counts: Counter[str] = Counter()
    until_s = time.monotonic() + arguments.seconds
    for text, must_be_refused in texts(arguments.seed):
        outcome = child.judge(text, must_be_refused)
        counts[outcome] += 1
        if outcome[:2].isupper():
            sys.stdout.write(f"{outcome}: {json.dumps(text)}\n")
        if time.monotonic() > until_s:
            break
    child.close()
    sys.stdout.write(f"seed {arguments.seed}: {dict(counts)}\n")
    return int(any(outcome[:2].isupper() for outcome in counts))


if __name__ == "__main__":
    sys.exit(main())
