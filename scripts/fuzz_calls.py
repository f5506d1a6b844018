"""Searches for statements that the validator accepts although they call a writing function of the database.

    uv run python -m scripts.fuzz_calls --statements 3000
    uv run python -m scripts.fuzz_calls --url postgresql://postgres@127.0.0.1/postgres --seed 7
    uv run python -m scripts.fuzz_calls --types

Each round creates a database with random functions, operators, aggregates, casts and a random search path.
Some of its functions act: they change a sequence and report their name. Then random statements run on
the server, and the validator judges them. It is a hole if it accepts a statement that acts. A statement that
fails without acting proves nothing. `fuzz_calls.txt` contains the parts of databases and statements.

With `--types`, no function acts. The script compares the types that the validator infers for expressions with
the server's pg_typeof(). It is an error if the server's type is not among them: the validator could then
choose the wrong overload. If the validator says that it does not know the type, this is not an error.

What only a superuser can create is left out: operator classes, and casts between two built-in types (see the
known limits in docs/threat-model.md).

The seed is printed; the same seed gives the same databases and statements.
"""

import argparse
import asyncio
import random
import re
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

import psycopg
from psycopg.conninfo import make_conninfo

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.ending_signals import ended_like_ctrl_c
from pgmcp.errors import SqlRejectedError
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import Rows
from pgmcp.validation import FunctionPolicy, grammar, validate
from pgmcp.validation.type_system import ANY_ROW, ANY_ROWS
from testing.own_statements import resolve_as_own

_PARTS: Final = Path(__file__).with_suffix(".txt").read_text("utf-8")
_SECTIONS: Final = {
    re.split("[:\n]", section)[0]: section.strip().splitlines()[1:] for section in _PARTS.split("\n== ")[1:]
}
_VOLATILITIES: Final = ("immutable", "stable", "volatile")
_VALUES: Final = {
    type_name: re.split(r"(?<!\|)\|(?!\|)", values)
    for type_name, values in (line.split(": ", 1) for line in _SECTIONS["values"])
}
_TYPES: Final = [each for each in _VALUES if each != "unknown"]
_WORDS: Final = {name: " ".join(lines).split(" ") for name, lines in _SECTIONS.items() if len(lines) < 4}
_SOURCE: Final = "people t, kids k, (select 1 as z, 'x' as label) q"
_PATHS: Final = (
    *('"$user", public', "public, early", "early, pg_catalog, public", "pg_catalog, early, public"),
    "early, pg_temp, pg_catalog, public",
)

_WITHOUT_JIT: Final = "-c jit=off"  # as in a worker; compiling the catalog's queries takes seconds
_ERRORS_OF_INFERENCE: Final = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
_FAILURES: Final = frozenset({"HOLE", "WRONG TYPE", "CRASH"})
_CAN_BE_SHOWN: Final = frozenset({"refused, harmless", "unknown type"})
_CHANCES_OF_PLAIN_VALUE: Final = (0.1, 0.1, 0.85, 0.95)
"""Chances that an expression is a plain value, by the number of expressions around it."""


class Fuzzer:
    """Random databases and statements of one seed.

    Args:
        shares_of_acting: the shares of the functions that act; each round has one of them.
    """

    def __init__(self, seed: int, shares_of_acting: Sequence[float] = (0.1, 0.2, 0.4)) -> None:
        self._shares_of_acting = shares_of_acting
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._types: list[str] = []  # types, names and symbols of the current round
        self._names: list[str] = []
        self._symbols: list[str] = []
        self._signatures: list[tuple[str, list[str]]] = []
        self._share_of_acting = 0.0

    def objects(self) -> Iterator[str]:
        """Yield scripts that create random objects. The server refuses some of them."""
        self._types = self._random.sample(_TYPES, 8)
        self._names = self._random.sample(_WORDS["names"], 5)
        self._symbols = ["=", *self._random.sample(_WORDS["symbols"], 3)]
        self._signatures = [("", [each]) for each in self._types[:3]]
        self._share_of_acting = self._random.choice(self._shares_of_acting)
        kinds: list[Callable[[str, int], Iterator[str]]] = [self._new_function] * 6
        kinds += [self._new_aggregate, *[self._new_operator] * 5]
        kinds += [self._new_cast] * self._random.choice((0, 0, 2))
        for number in range(self._random.randint(25, 40)):
            schema = self._random.choice(("public", "public", "public", "early"))
            yield from self._random.choice(kinds)(schema, number)
        setting = f"set search_path = {self._random.choice(_PATHS)}"
        yield f"do $$ begin execute format('alter database %I {setting}', current_database()); end $$"

    def statement(self, section: str) -> list[str]:
        """Return a random statement of a section, split where its template has `<<` or `>>`."""
        template = self._random.choice(_SECTIONS[section])
        return [self._fill(part, 0) for part in re.split("<<|>>", template)]

    def _new_function(self, schema: str, _: int) -> Iterator[str]:
        types = self._parameters((0, 1, 1, 1, 2, 2, 2, 3))
        form, parameters = self._random.randrange(6), types
        if form < 4:
            parameters = [f"{name} {each}" for name, each in zip("abc", types, strict=False)]
        if types and form == 0:
            parameters[-1] = f"variadic {'abc'[len(types) - 1]} {types[-1].removesuffix('[]')}[]"
        if types and form == 1:
            parameters[-1] += f" default null::{types[-1]}"
        name = self._random.choice(self._names)
        self._signatures.append((name, types))
        yield self._function(f"{schema}.{name}", parameters, is_set=self._random.random() < 0.1)

    def _new_operator(self, schema: str, number: int) -> Iterator[str]:
        types = self._parameters((1, 2, 2, 2, 2, 2))
        if self._random.random() < 0.4:
            types = types[:1] * len(types)
        sides = ", ".join(
            f"{side} = {each}" for side, each in zip(("rightarg", "leftarg"), reversed(types), strict=False)
        )
        function, symbol = f"{schema}.operator{number}", self._random.choice(self._symbols)
        self._signatures.append((symbol, types))
        yield self._function(function, types)
        yield f"create operator {schema}.{symbol} ({sides}, function = {function})"

    def _new_aggregate(self, schema: str, number: int) -> Iterator[str]:
        types, state = self._parameters((0, 1, 1, 2)), self._random.choice(("int4", "text"))
        function = f"public.step{number}"
        yield self._function(function, [state, *types], result=state)
        aggregate = f"{schema}.{self._random.choice(self._names)}({', '.join(types) or '*'})"
        yield f"create aggregate {aggregate} (sfunc = {function}, stype = {state})"

    def _new_cast(self, _: str, number: int) -> Iterator[str]:
        other = self._random.choice([*self._types, "text", "int4", "jsonb"])
        types = [self._random.choice(_WORDS["own types"]), other]
        self._random.shuffle(types)
        how = self._random.choice(("as implicit", "as implicit", "as assignment", ""))
        function = f"public.cast{number}"
        yield self._function(function, types[:1], result=types[1])
        yield f"create cast ({types[0]} as {types[1]}) with function {function}({types[0]}) {how}"

    def _parameters(self, numbers: tuple[int, ...]) -> list[str]:
        return [
            self._random.choice(_WORDS["polymorphic"] if self._random.random() < 0.15 else self._types)
            for _ in range(self._random.choice(numbers))
        ]

    def _function(self, name: str, parameters: list[str], *, result: str = "", is_set: bool = False) -> str:
        """Return a script that creates a function, which may act."""
        result = result or self._random.choice(self._types)
        value = f"null::{result}" if result in ("kids", "people") else _VALUES[result][0]
        declared = f"{name}({', '.join(parameters)})"
        acts = self._random.random() < self._share_of_acting
        body = f"perform nextval('public.calls'); raise notice '{declared}';" if acts else ""
        body += f" return next {value}; return;" if is_set else f" return {value};"
        volatility = "volatile" if acts else _VOLATILITIES[len(declared) % 3]
        returns = f"{'setof ' if is_set else ''}{result} {volatility}"
        return (
            f"create function {declared} returns {returns} language plpgsql as $body$ begin {body} end $body$"
        )

    def _fill(self, template: str, depth: int) -> str:
        """Replace the parts in braces; many operands have the types of one function or operator."""
        name, types = self._random.choice(self._signatures)
        of_signature = iter(types if self._random.random() < 0.7 else ())

        def part(found: re.Match[str]) -> str:
            match found[1]:
                case "e":
                    return self._expression(depth + 1, next(of_signature, ""))
                case "f":
                    return name if name.isidentifier() else self._random.choice(self._names)
                case "o":
                    return self._random.choice(self._symbols) if name.isidentifier() else name or "="
                case other:
                    return self._filled_alike(other, depth)

        return re.sub(r"\{([^{}]+)\}", part, template)

    def _filled_alike(self, part: str, depth: int) -> str:
        """Return what replaces a part of a template that does not depend on a signature."""
        match part:
            case "s":
                return _SOURCE
            case "T":
                return self._random.choice(self._types)
            case "c":
                return self._random.choice(_WORDS["columns"])
            case type_name if type_name in _VALUES:
                return self._expression(depth + 1, type_name)
            case _:
                return f"{{{part}}}"

    def _expression(self, depth: int, type_name: str = "") -> str:
        """Return an expression, often one of a type; "" for any type."""
        if self._random.random() < _CHANCES_OF_PLAIN_VALUE[min(depth, 3)]:
            is_given = type_name in _VALUES and self._random.random() < 0.75
            types = [*self._types, "unknown", "unknown"] if self._random.random() < 0.85 else _TYPES
            return self._random.choice(_VALUES[type_name if is_given else self._random.choice(types)])
        name, types = self._random.choice(self._signatures)
        if not name or self._random.random() < 0.5:
            return f"({self._fill(self._random.choice(_SECTIONS['expressions']), depth)})"
        values = [self._expression(depth + 1, each) for each in types]
        return (
            f"{name}({', '.join(values)})"
            if name.isidentifier()
            else f"({f' {name} '.join(['', *values][-2:])})"
        )


class Judge(Protocol):
    """Judges statements in one database."""

    section: str
    """The section with the statements that it judges."""

    statements_per_round: int
    """How many statements it judges before the next database is created."""

    def judge(self, parts: Sequence[str]) -> tuple[str, str]:
        """Return the outcome of a statement of the section, with an explanation."""


class CallJudge:
    """Runs statements in one database, and compares what they do with the validator's verdict."""

    section = "statements"
    statements_per_round = 150

    def __init__(self, connection: psycopg.Connection, policy: FunctionPolicy) -> None:
        self._connection = connection
        self._policy = policy
        self._acted: list[str] = []
        connection.add_notice_handler(lambda notice: self._acted.append(str(notice.message_primary)))

    def judge(self, parts: Sequence[str]) -> tuple[str, str]:
        """Return the outcome of a statement, with the functions that acted or the reason of the refusal."""
        (statement,) = parts
        self._acted.clear()
        before = self._calls()
        is_valid = True
        try:
            self._connection.execute(statement.encode())
        except psycopg.Error:
            is_valid = False
        acts = self._calls() != before
        if not (acts or is_valid):
            return "invalid", ""
        try:
            validate(statement, functions=self._policy)
        except SqlRejectedError as error:
            return ("refused, acts" if acts else "refused, harmless"), str(error)
        return ("HOLE" if acts else "accepted, harmless"), ", ".join(dict.fromkeys(self._acted))

    def _calls(self) -> tuple[object, ...] | None:
        while True:
            with suppress(psycopg.errors.QueryCanceled):  # a busy machine: the read exceeded the timeout too
                return self._connection.execute("select last_value, is_called from public.calls").fetchone()


class TypeJudge:
    """Compares the types that the validator infers for expressions with the server's."""

    section = "typed statements"
    statements_per_round = 600

    def __init__(self, connection: psycopg.Connection, policy: FunctionPolicy) -> None:
        self._connection = connection
        self._policy = policy

    def judge(self, parts: Sequence[str]) -> tuple[str, str]:
        """Return the outcome for the expression in the middle of a statement, with the types."""
        before, expression, after = parts
        try:
            with self._connection.cursor() as cursor:
                typed = f"{before}pg_catalog.pg_typeof({expression})::pg_catalog.oid{after}"
                (type_oid,) = cursor.execute(typed.encode()).fetchone() or (0,)
            (root,) = grammar.parse(f"{before}{expression}{after}")
        except (psycopg.Error, SqlRejectedError):
            return "invalid", ""
        if not type_oid:
            return "invalid", ""
        try:
            found = self._policy.argument_types({root.kind: root.fields}).of(
                root.fields["targetList"][0]["ResTarget"]["val"]
            )
        except _ERRORS_OF_INFERENCE as error:
            return "CRASH", repr(error)
        if found is None:
            return "unknown type", self._name(type_oid)
        if type_oid in found or found & self._stand_ins(type_oid):
            return ("one type" if len(found) == 1 else "several types"), ""
        inferred = " or ".join(map(self._name, sorted(found)))
        return "WRONG TYPE", f"the server's type is {self._name(type_oid)}, the validator's {inferred}"

    def _stand_ins(self, type_oid: int) -> frozenset[int]:
        """Return the number that stands for a row of any relation if the type is a row, and so for arrays."""
        statement = "select typtype = 'c', typelem <> 0 from pg_catalog.pg_type where oid = %s"
        is_row, is_array = self._connection.execute(statement, (type_oid,)).fetchone() or (False, False)
        return frozenset({ANY_ROW} if is_row else {ANY_ROWS} if is_array else ())

    def _name(self, type_oid: int) -> str:
        if type_oid in (ANY_ROW, ANY_ROWS):
            return "a row" if type_oid == ANY_ROW else "an array of rows"
        (name,) = self._connection.execute("select %s::oid::regtype::text", (type_oid,)).fetchone() or ("",)
        return str(name)


@contextmanager
def _database(url: str) -> Iterator[str]:
    """Create a database for one round, and drop it afterwards."""
    name = f"fuzz_calls_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        try:
            yield make_conninfo(url, dbname=name, options=_WITHOUT_JIT)
        finally:
            connection.execute(f"drop database {name} with (force)".encode())


def _prepare(url: str, fuzzer: Fuzzer) -> None:
    """Create the objects of a round, without those that the server refuses."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("\n".join(_SECTIONS["schema"]).encode())
        for script in fuzzer.objects():
            with suppress(psycopg.Error):
                connection.execute(script.encode())


def _policy(url: str) -> FunctionPolicy:
    async def fetch(statement: str) -> Rows:
        with psycopg.connect(url) as connection:
            resolve_as_own(connection)
            return Rows(columns=(), rows=[list(row) for row in connection.execute(statement.encode())])

    return asyncio.run(PolicyReader(fetch, allowed=(), denied=()).read())


def fuzz(
    url: str,
    fuzzer: Fuzzer,
    judge_of: Callable[[psycopg.Connection, FunctionPolicy], Judge],
    statements: int,
    shown: int,
) -> Counter[str]:
    """Run rounds until so many statements are valid; print each failure, and some other outcomes."""
    counts: Counter[str] = Counter()
    while counts.total() - counts["invalid"] < statements:
        with _database(url) as database:
            _prepare(database, fuzzer)
            policy = _policy(database)
            with psycopg.connect(database, autocommit=True, prepare_threshold=None) as connection:
                connection.execute("set statement_timeout = '300ms'")
                (path,) = connection.execute("show search_path").fetchone() or ("",)
                judge = judge_of(connection, policy)
                for _ in range(judge.statements_per_round):
                    parts = fuzzer.statement(judge.section)
                    outcome, detail = judge.judge(parts)
                    counts[outcome] += 1
                    if outcome in _FAILURES or (outcome in _CAN_BE_SHOWN and counts[outcome] <= shown):
                        sys.stdout.write(f"{outcome}: {''.join(parts)}\n    {detail} (search_path: {path})\n")
                        sys.stdout.flush()
    return counts


def main() -> int:
    """Fuzz with a number of statements; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a server, as its superuser; without it an embedded one is started")
    parser.add_argument("--types", action="store_true", help="compare types of expressions with the server's")
    parser.add_argument("--statements", type=int, default=1000, help="minimum number of valid statements")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="repeat an earlier run")
    parser.add_argument(
        "--show", type=int, default=0, help="number of refused harmless statements or unknown types to print"
    )
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments.seed, (0,)) if arguments.types else Fuzzer(arguments.seed)
    with ended_like_ctrl_c(), ExitStack() as stack:
        url = arguments.url
        if not url:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o711)  # the server's user enters it
            url = stack.enter_context(EmbeddedPostgres(folder, settings={"fsync": "off"})).url()
        judge_of = TypeJudge if arguments.types else CallJudge
        counts = fuzz(url, fuzzer, judge_of, arguments.statements, arguments.show)
    sys.stdout.write(f"seed {arguments.seed}: {dict(counts)}\n")
    return int(not _FAILURES.isdisjoint(counts))


if __name__ == "__main__":
    sys.exit(main())
