"""Splits a body in PL/pgSQL into its variables and the SQL that it evaluates, as trees.

PL/pgSQL passes the text of each expression and statement to PostgreSQL's parser. Such a text ends at a
certain word outside brackets (pl_gram.y: read_sql_construct), and this module finds it in the same way.
`PlpgsqlBody.rest` lists the texts that cannot be read as a tree.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import TokenKind, string_content
from pgmcp.validation.plpgsql_records import RecordSources
from pgmcp.validation.plpgsql_text import END, PlpgsqlText, may_begin_a_write, read_type

_MAX_DEPTH: Final = 50
_QUERY_STARTS: Final = frozenset({"select", "with", "values", "table", "("})
_SECTION_ENDS: Final = frozenset({"end", "else", "elsif", "elseif", "exception", "when"})
_RAISE_LEVELS: Final = frozenset({"debug", "log", "info", "notice", "warning", "exception"})
_ENDS_OF_TYPE: Final = frozenset({"collate", "not", "default", "=", ":", ";"})
# Variables that every function has (manual, "Obtaining the Result Status", "Trapping Errors").
_SPECIAL_VARIABLES: Final = {"found": "boolean", "sqlstate": "text", "sqlerrm": "text"}


class PlpgsqlBody(NamedTuple):
    """One body.

    Attributes:
        roots: the trees of its expressions, each as a SELECT, and of its queries.
        variables: by name, the types with which the body declares a variable; None for one without a fixed
            type. Parameters of the function are not included.
        rest: start and end of each text that was not read as a tree.
        formats: the texts that RAISE prints, which are never run as SQL.
        records: the queries whose rows a variable of type `record` can hold, by its name. A variable that can
            hold anything else is left out.
        is_whole: whether `roots` are all that it runs. False if any token could begin a command that writes.
    """

    roots: list[Node]
    variables: Mapping[str, list[Node | None]]
    rest: list[tuple[int, int]]
    formats: list[str]
    records: Mapping[str, list[Node]]
    is_whole: bool

    def leaves(self, place: int) -> bool:
        """Return whether a place in the body was not read as a tree."""
        return any(start <= place < end for start, end in self.rest)


def read_plpgsql(body: str) -> PlpgsqlBody | None:
    """Return the trees of a body; None if its structure is not clear."""
    try:
        reader = _Reader(body)
        reader.read()
    except (SqlRejectedError, ValueError):
        return None
    return PlpgsqlBody(
        reader.roots,
        dict(reader.variables),
        reader.rest,
        reader.formats,
        reader.sources.of_records(reader, reader.variables),
        reader.is_whole and not any(map(may_begin_a_write, reader.tokens)),
    )


class _Reader(PlpgsqlText):
    """Reads one body from its first token to its last.

    Raises ValueError if the body does not follow the grammar of PL/pgSQL that this module knows.
    """

    def __init__(self, body: str) -> None:
        super().__init__(body)
        self._depth = 0
        self.formats: list[str] = []
        self._cursors: set[str] = set()  # those whose query was read
        self.sources = RecordSources()
        self.variables: defaultdict[str, list[Node | None]] = defaultdict(list)
        for name, type_name in _SPECIAL_VARIABLES.items():
            self.variables[name].append(read_type(type_name))

    def read(self) -> None:
        while self.next.text == "#":  # options: `#variable_conflict use_column`
            self.at += 3
        self._read_block()
        while self.next.text == ";":
            self.at += 1
        if self.next is not END:
            raise ValueError("text after the last END")

    def _read_label(self) -> None:
        if self.take("<<"):
            self.name()
            self.expect(">>")

    def _read_block(self) -> None:
        self._read_label()
        if self.take("declare"):
            while not self.take("begin"):
                self._read_declaration()
        else:
            self.expect("begin")
        self._read_statements()
        if self.take("exception"):
            while self.take("when"):
                self.skip_names("then")  # of conditions
                self.expect("then")
                self._read_statements()
        self._read_end()

    def _read_end(self, *words: str) -> None:
        self.expect("end", *words)
        if self.word() not in (";", ""):
            self.name()  # the label again
        if self.next is not END:
            self.expect(";")

    def _read_declaration(self) -> None:
        if self.take("declare"):
            return
        place = self.next.start
        name = self.name()
        if self.take("alias", "for"):
            self.variables[name].append(None)
            self.skip_names(";")
            self.expect(";")
            return
        if self.word() in ("cursor", "no", "scroll"):
            self._read_cursor(name, place)
            return
        self.take("constant")
        is_record = self.word() == "record" and self.word(1) == ";"
        self.variables[name].append(self._read_declared_type())
        if is_record:
            self.sources.declare(name, place)
        if self.take("collate"):
            self.name()
            if self.take("."):
                self.name()
        self.take("not", "null")
        if self.take("default") or self.take(":", "=") or self.take("="):
            self.read_expression(";")
        self.expect(";")

    def _read_declared_type(self) -> Node | None:
        start = self.next.start
        end = self.skip_names(*_ENDS_OF_TYPE)
        text = self.body[start:end]
        folded = "".join(text.lower().split())
        if folded.endswith("%rowtype"):
            row = read_type(text[: text.rindex("%")])
            return row and {**row, "is_row": True}
        return read_type(text)

    def _read_cursor(self, name: str, place: int) -> None:
        self.variables[name].append(None)
        while self.word() not in ("is", "for", "(", ""):
            self.at += 1
        if self.take("("):
            while not self.take(")"):
                self.variables[self.name()].append(None)
                self.skip_names(",", ")")
                self.take(",")
        if not self.take("is"):
            self.expect("for")
        query = self.read_query(";")
        self.sources.declare_cursor(name, place, query)
        is_only = len(self.variables[name]) == 1
        (self._cursors.add if is_only and query else self._cursors.discard)(name)
        self.expect(";")

    def _read_statements(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("statements nest too deep")
        while self.word() not in _SECTION_ENDS or self.is_assignment():
            if self.next is END:
                raise ValueError("no END")
            self._read_statement()
        self._depth -= 1

    def _read_statement(self) -> None:
        if self.is_assignment():
            self._read_assignment()
            return
        word = self.word()
        if word in ("<<", "declare", "begin"):
            self._read_labelled()
        elif read := _READ_BY_WORD.get(word):
            self.at += 1
            read(self)
        elif word in _QUERY_STARTS:
            query, target = self.read_statement()
            if target >= 0:
                self._note_target(target, query)
            self.expect(";")
        elif self.take("null"):
            self.expect(";")
        else:
            self.leave(";")
            self.expect(";")

    def _note_target(self, target: int, query: Node | None) -> None:
        at, self.at = self.at, target
        self.sources.add(self.name(), self.tokens[target].start, query)
        self.at = at

    def _read_labelled(self) -> None:
        start = self.at
        self._read_label()
        if self.word() in ("declare", "begin"):
            self.at = start
            self._read_block()

    def _read_assignment(self) -> None:
        start = self.next.start
        end = self.end_of_text({"=", ":"})
        has_index = "[" in self.body[start:end]
        self.take(":")
        self.expect("=")
        if has_index:  # an index is an expression, too; but the name before it is assigned to
            self.parse(f"SELECT {self.body[start:end]}", start, end, [])
        self.read_expression(";")
        self.expect(";")

    def _read_if(self) -> None:
        self.read_expression("then")
        self.expect("then")
        self._read_statements()
        while self.take("elsif") or self.take("elseif"):
            self.read_expression("then")
            self.expect("then")
            self._read_statements()
        if self.take("else"):
            self._read_statements()
        self._read_end("if")

    def _read_case(self) -> None:
        start = self.next.start
        tested = self.body[start : self.end_of_text({"when"})] if self.word() != "when" else ""
        while self.take("when"):
            start = self.next.start
            end = self.end_of_text({"then"})
            text = self.body[start:end]
            # PL/pgSQL keeps the tested value in a variable. As in a subquery, a plain string is a text there.
            self.parse(f"SELECT (SELECT {tested}) IN ({text})" if tested else f"SELECT {text}", start, end)
            self.expect("then")
            self._read_statements()
        if self.take("else"):
            self._read_statements()
        self._read_end("case")

    def _read_while(self) -> None:
        self.read_expression("loop")
        self.expect("loop")
        self._read_loop()

    def _read_loop(self) -> None:
        """Read the statements after LOOP, and END LOOP."""
        self._read_statements()
        self._read_end("loop")

    def _read_for(self) -> None:
        first = self.at
        target = self.read_target()
        is_one_name = self.at == first + 1
        place = self.tokens[first].start
        self.expect("in")
        self.take("reverse")
        bound = self.place_of_range()
        if bound:
            self.variables[target].append(read_type("integer"))
            self._read_range(bound)
        elif self.word() in _QUERY_STARTS:
            query = self.read_query("loop")
            if is_one_name:
                self.sources.add(target, place, query)
        elif self.take("execute"):
            self._read_executed("loop")
        else:
            self._read_cursor_loop(target, place)
        self.expect("loop")
        self._read_loop()

    def _read_cursor_loop(self, target: str, place: int) -> None:
        """Read the cursor of a FOR loop; such a loop declares its own record."""
        self.variables[target].append(None)
        if self.word(1) in ("loop", "("):
            self.sources.declare(target, place)
            self.sources.add_cursor(target, place, self._name_ahead(), self.next.start)
        is_cursor = self.word(1) == "loop" and self._name_ahead() in self._cursors
        self.leave("loop", is_cursor=is_cursor)

    def _name_ahead(self) -> str:
        name = self.name()
        self.at -= 1
        return name

    def _read_fetch(self) -> None:
        """Read FETCH; the name before INTO is that of the cursor."""
        start = self.at
        while self.word(1) not in ("into", ";", ""):
            self.at += 1
        cursor, cursor_place = self._name_ahead(), self.next.start
        has_direction = self.at != start  # which can contain an expression
        if self.word(1) == "into" and self.word(3) == ";":
            self.at += 2
            place = self.next.start
            self.sources.add_cursor(self.name(), place, cursor, cursor_place)
            is_plain = not has_direction and cursor in self._cursors
        else:
            self.at = start
            is_plain = False
        self.leave(";", start, is_cursor=is_plain)
        self.expect(";")

    def _read_cursor_use(self) -> None:
        """Read OPEN or CLOSE. The cursor keeps its declared query, unless OPEN has FOR."""
        if self.word(1) in (";", "("):
            self.sources.places.add(self.next.start)
        self.leave(";", is_cursor=self.word(1) == ";" and self._name_ahead() in self._cursors)
        self.expect(";")

    def _read_range(self, bound: int) -> None:
        start = self.next.start
        end = self.end_of_text({"by", "loop"})
        self.parse(f"SELECT {self.body[start:bound]}", start, bound)
        self.parse(f"SELECT {self.body[bound + 2 : end]}", bound + 2, end)
        if self.take("by"):
            self.read_expression("loop")

    def _read_foreach(self) -> None:
        self.read_target()
        if self.take("slice"):
            self.at += 1
        self.expect("in", "array")
        self.read_expression("loop")
        self.expect("loop")
        self._read_loop()

    def _read_jump(self) -> None:
        if self.word() not in (";", "when"):
            self.name()
        if self.take("when"):
            self.read_expression(";")
        self.expect(";")

    def _read_return(self) -> None:
        if self.take("query"):
            if self.take("execute"):
                self._read_executed(";")
            else:
                self.read_query(";")
        else:
            self.take("next")
            if self.word() != ";":
                self.read_expression(";")
        self.expect(";")

    def _read_expressions(self) -> None:
        self.read_expression(";")
        self.expect(";")

    def _read_execute(self) -> None:
        self._read_executed(";")
        self.expect(";")

    def _read_executed(self, end: str) -> None:
        """Read the text that EXECUTE runs and its values after USING; INTO only names variables."""
        self.read_expression("into", "using", end)
        if self.take("into"):
            self.take("strict")
            self.end_of_text({"using", end})
        if self.take("using"):
            self.read_expression("into", end)
        if self.take("into"):
            self.end_of_text({end})

    def _read_raise(self) -> None:
        if self.word() in _RAISE_LEVELS:
            self.at += 1
        if self.next.kind is TokenKind.STRING:  # a format, which is never run
            self.formats.append(string_content(self.next.text))
            self.at += 1
            while self.take(","):
                self.read_expression(",", "using", ";")
        elif self.word() not in (";", "using"):
            self.skip_names("using", ";")  # of a condition
        if self.take("using"):
            self._read_raise_options()
        self.expect(";")

    def _read_raise_options(self) -> None:
        while True:
            self.name()
            if not (self.take("=") or self.take(":", "=")):
                raise ValueError("expected =")
            self.read_expression(",", ";")
            if not self.take(","):
                return


_READ_BY_WORD: Final[Mapping[str, Callable[[_Reader], None]]] = {
    "if": _Reader._read_if,
    "case": _Reader._read_case,
    "loop": _Reader._read_loop,
    "while": _Reader._read_while,
    "for": _Reader._read_for,
    "foreach": _Reader._read_foreach,
    "exit": _Reader._read_jump,
    "continue": _Reader._read_jump,
    "return": _Reader._read_return,
    "perform": _Reader._read_expressions,
    "execute": _Reader._read_execute,
    "assert": _Reader._read_expressions,
    "raise": _Reader._read_raise,
    "fetch": _Reader._read_fetch,
    "open": _Reader._read_cursor_use,
    "close": _Reader._read_cursor_use,
    "get": _Reader.read_diagnostics,
}
