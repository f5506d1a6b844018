"""Moves through the text of a body in PL/pgSQL, and parses the expressions and queries in it."""

import re
from collections.abc import Set
from typing import Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import Token, TokenKind, tokenize

_MAX_NAME_LENGTH: Final = 63
_OPENING: Final = frozenset({"(", "["})
_CLOSING: Final = frozenset({")", "]"})
_PLAIN_NUMBER: Final = re.compile(r"[0-9.]+[eE]?[0-9]*|[0-9]+\.\.[A-Za-z_][0-9A-Za-z_.]*")
# A body that only reads never needs these words. So a body without them does not write, even if a server sees
# the beginning of a statement where this module does not.
_WORDS_OF_WRITES: Final = frozenset(
    {"alter", "call", "copy", "create", "delete", "drop", "execute", "import", "insert", "merge", "truncate"}
    | {"update"}
)
_BEFORE_INTO_OF_SQL: Final = frozenset({"insert", "merge"})
_BESIDE_NAMES: Final = frozenset(".,%-()[]")  # `numeric(3, -1)[]`, `t.id%type`
_UNTYPED: Final = frozenset({"record", "refcursor"})
_GOES_ON_AFTER_INTO: Final = frozenset({"(", ".", "uescape"})
_MAX_PARTS_OF_TARGET: Final = 3
END: Final = Token(TokenKind.PUNCTUATION, "", -1)
"""Follows the last token."""


def read_type(text: str) -> Node | None:
    """Return the TypeName of a declaration; None if it has no fixed type or cannot be read."""
    words = text.lower().split()
    if not words or words[0] in _UNTYPED:
        return None
    try:
        definition = f"CREATE FUNCTION f() RETURNS {text} LANGUAGE sql AS ''"
        (statement,) = grammar.parse(bounds.trim_and_bound(definition)[0])
        return dict(statement.fields["returnType"])
    except (SqlRejectedError, ValueError, KeyError):
        return None


def may_begin_a_write(token: Token) -> bool:
    """Return whether a token may begin a command that writes, or hide one that a server reads after a number.

    Servers before PostgreSQL 15 read `1then` as two tokens.
    """
    if token.kind is TokenKind.NUMBER:
        return not _PLAIN_NUMBER.fullmatch(token.text)
    return token.kind is TokenKind.WORD and token.text.lower() in _WORDS_OF_WRITES


def joins_around_into(tokens: list[Token]) -> bool:
    """Return whether a name or call goes on after INTO and its target, as in `SELECT f INTO x ('a')`.

    PL/pgSQL takes INTO and its target out of a query (pl_gram.y: make_execsql_stmt), but not the target of
    INSERT INTO. A name in a target has at most three parts; what follows belongs to the query again.
    """
    padded = [END, *tokens, END, END]
    for at, token in enumerate(padded):
        before = padded[at - 1]
        if token.text.lower() != "into" or before.text.lower() in ("insert", "merge"):
            continue
        place = at + 1 + (padded[at + 1].text.lower() == "strict")
        place, parts = place + 1, 1
        while padded[place].text in (".", ",") and place + 2 < len(padded):
            parts = parts + 1 if padded[place].text == "." else 1
            place += 2
            if parts > _MAX_PARTS_OF_TARGET:
                return True
        if before.text == "." or padded[place].text.lower() in _GOES_ON_AFTER_INTO:
            return True
    return False


class PlpgsqlText:
    """A position in the text of a body, with the trees of the text before it.

    Attributes:
        body: the text.
        tokens: the tokens of the text.
        at: the index of the next token in `tokens`.
        roots: the trees of the expressions, each as a SELECT, and of the queries.
        rest: start and end of each text that was not read as a tree.
        is_whole: whether such texts are only names of cursors whose queries were read.
        parsed: start and end of each text that was read as a tree.
    """

    def __init__(self, body: str) -> None:
        self.body = body
        self.tokens = list(tokenize(body))
        self.at = 0
        self.roots: list[Node] = []
        self.rest: list[tuple[int, int]] = []
        self.is_whole = True
        self.parsed: list[tuple[int, int]] = []

    @property
    def next(self) -> Token:
        """Return the next token; `END` after the last one."""
        return self._token(self.at)

    def _token(self, place: int) -> Token:
        return self.tokens[place] if place < len(self.tokens) else END

    def word(self, ahead: int = 0) -> str:
        """Return the next token, or one further ahead, in lower case; "" for a quoted name or a string."""
        token = self._token(self.at + ahead)
        return token.text.lower() if token.kind not in (TokenKind.QUOTED_NAME, TokenKind.STRING) else ""

    def take(self, *words: str) -> bool:
        """Move past these words and return True, if they are next."""
        if all(self.word(ahead) == word for ahead, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Move past these words; raise ValueError if others are next."""
        if not self.take(*words):
            raise ValueError(f"expected {' '.join(words)}")

    def name(self) -> str:
        """Move past a name and return it, as the server stores it."""
        token = self.next
        self.at += 1
        if token.kind is TokenKind.WORD:
            name = token.text.lower()
        elif token.kind is TokenKind.QUOTED_NAME and token.text.startswith('"'):
            name = token.text[1:-1].replace('""', '"')
        else:
            raise ValueError("expected a name")
        # Servers fold and cut other names in different ways. Python makes an ASCII `k` of the Kelvin sign.
        if not token.text.isascii() or len(name) > _MAX_NAME_LENGTH:
            raise ValueError("a name that servers do not all read in the same way")
        return name

    def read_target(self) -> str:
        """Move past the target of a statement, such as `a, b.c`; return its first name."""
        first = self.name()
        while self.word() in (".", ","):
            self.at += 1
            self.name()
        return first

    def read_query(self, end: str) -> Node | None:
        """Read a query up to a word; return its tree, None if it could not be read."""
        start = self.next.start
        stop = self.end_of_text({end})
        return self.parse(self.body[start:stop], start, stop)

    def read_statement(self) -> tuple[Node | None, int]:
        """Read a query up to `;`, without INTO and its target, which PL/pgSQL takes out of a statement.

        Returns:
            The tree, None if it could not be read; and the number of the target's token, -1 if the query has
            no target or the target is not one name.

        Raises:
            ValueError: it is not clear whether INTO has a target of PL/pgSQL.
        """
        start = self.next.start
        first = self.at
        stop = self.end_of_text({";"})
        last, self.at = self.at, first
        pieces = [start]
        target = -1
        while self.at < last:
            if self.word() in _BEFORE_INTO_OF_SQL and self.word(1) == "into":
                raise ValueError("an INTO that only some servers read as PL/pgSQL's")
            if self.take("into"):
                pieces.append(self.tokens[self.at - 1].start)
                self.take("strict")
                target = self.at
                self.read_target()
                target = target if self.at == target + 1 else -1
                pieces.append(self.next.start)
                break
            self.at += 1
        self.at = last
        pieces.append(stop)
        spans = list(zip(pieces[::2], pieces[1::2], strict=True))
        text = " ".join(self.body[a:b] for a, b in spans)
        return self.parse(text, start, stop, spans), target

    def read_expression(self, *ends: str) -> None:
        """Read an expression, or a list of them, up to a word."""
        start = self.next.start
        end = self.end_of_text(set(ends) | {";"})
        self.parse(f"SELECT {self.body[start:end]}", start, end)

    def parse(
        self, sql: str, start: int, end: int, spans: list[tuple[int, int]] | None = None
    ) -> Node | None:
        """Parse a query, add its tree to `roots` and return the tree.

        If the text is not one query, add its place to `rest` and return None.

        Args:
            sql: the text to parse.
            start: where the text begins in the body.
            end: where the text ends in the body.
            spans: start and end of the parts of the body in `sql`; None if it is one part.
        """
        try:
            found = grammar.parse_with_parameters(sql)
        except SqlRejectedError:
            found = []
        if len(found) == 1 and found[0].kind == "SelectStmt":
            self.roots.append({found[0].kind: found[0].fields})
            self.parsed += [(start, end)] if spans is None else spans
            return self.roots[-1]
        self.rest.append((start, end))
        self.is_whole = False
        return None

    def leave(self, end: str, at: int | None = None, *, is_cursor: bool = False) -> None:
        """Add the text up to a word to `rest`, without parsing it.

        Args:
            end: the word.
            at: the index of the first token of the text; None for the next token.
            is_cursor: whether the text only uses a cursor whose query was read.
        """
        self.is_whole &= is_cursor
        start = self._token(self.at if at is None else at).start
        self.rest.append((start, self.end_of_text({end})))

    def end_of_text(self, ends: Set[str]) -> int:
        """Move to the first of some words outside brackets; return where the text before it ends."""
        depth = 0
        while self.next is not END:
            word = self.word()
            if depth == 0 and word in ends:
                last = self.tokens[self.at - 1]
                return last.start + len(last.text)
            if word == ";":
                raise ValueError("a bracket is open")
            depth += (word in _OPENING) - (word in _CLOSING)
            self.at += 1
        raise ValueError("a text has no end")

    def skip_names(self, *ends: str) -> int:
        """Move past names and types to the first of some words; return where the text before it ends.

        Raises:
            ValueError: the text has another token, so the server may see an expression in it.
        """
        first = self.at
        end = self.end_of_text(set(ends))
        for token in self.tokens[first : self.at]:
            if token.kind in (TokenKind.OPERATOR, TokenKind.PUNCTUATION) and token.text not in _BESIDE_NAMES:
                raise ValueError("more than names")
        return end

    def read_diagnostics(self) -> None:
        """Move past the rest of GET DIAGNOSTICS.

        Raises:
            ValueError: it has more than names. Before PostgreSQL 14, a target can have an index.
        """
        self.at += self.word() in ("current", "stacked")
        self.expect("diagnostics")
        while not self.take(";"):
            self.take(",")
            self.name()
            while self.take("."):
                self.name()
            if not (self.take(":", "=") or self.take("=")):
                raise ValueError("expected =")
            self.name()  # of an item

    def is_assignment(self) -> bool:
        """Return whether `name = `, `name.field := ` or `name[1] := ` is next."""
        if self.next.kind not in (TokenKind.WORD, TokenKind.QUOTED_NAME):
            return False
        place, depth = self.at + 1, 0
        while place < len(self.tokens):
            text = self.tokens[place].text
            depth += (text == "[") - (text == "]")
            if depth == 0 and text not in ("]", "."):
                is_field = self.tokens[place - 1].text == "."
                if not is_field:
                    return text.startswith("=") or (text == ":" and self._token(place + 1).text[:1] == "=")
            place += 1
        return False

    def place_of_range(self) -> int:
        """Return where `..` is in the head of a loop; 0 without one."""
        depth = 0
        for place in range(self.at, len(self.tokens)):
            token = self.tokens[place]
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            if depth == 0 and token.text.lower() == "loop":
                return 0
            if depth == 0 and token.kind is TokenKind.NUMBER and ".." in token.text:
                return token.start + token.text.index("..")
            after = self._token(place + 1)
            is_dotted = token.text == "." and after.text.startswith(".")  # `..` or `..1`
            if depth == 0 and is_dotted and after.start == token.start + 1:
                return token.start
        return 0
