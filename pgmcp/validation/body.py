"""Finds what a function's definition may call and read, by its tokens.

A definition is the output of `pg_get_functiondef`: parameters, defaults, result and body. Every string in it
is read like the definition itself, because the function may execute it as SQL. Comments are ignored. A token
that may be a call or a relation counts as one, so some of the names found may be neither.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.argument_types import VariableTypes
from pgmcp.validation.explicit_casts import targets_in_tokens
from pgmcp.validation.grammar import Node, parse_with_parameters
from pgmcp.validation.lexer import Token, TokenKind, depends_on_escapes, string_content, tokenize
from pgmcp.validation.plpgsql import PlpgsqlBody, read_plpgsql
from pgmcp.validation.plpgsql_text import joins_around_into
from pgmcp.validation.secret_columns import text_may_use_secrets
from pgmcp.validation.sql_function import SqlFunction, read_signature, read_sql_function

_MAX_STRING_DEPTH = 8
_STRING_SETTING = "standard_conforming_strings"  # if it is off, backslashes change where strings end
_MAX_NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts longer names
_NAME_KINDS = (TokenKind.WORD, TokenKind.QUOTED_NAME)
_ENDS_OF_EXECUTED_TEXT = frozenset({";", "into", "using", "loop"})
_UNICODE_ESCAPE = re.compile(r"\\(?:\\|\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))")
_NO_TOKEN = Token(TokenKind.PUNCTUATION, "", 0)
_ASCII_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

_Text = tuple[str, int, list[Token]]
_NOTHING: tuple[_Text, ...] = (("", 0, []),)


@dataclass(frozen=True)
class BodyText:
    """One function's definition.

    Attributes:
        definition: its text.
        language: pg_language.lanname.
        texts: the parts of the definition to read, each as text, depth and tokens (see `_texts`); empty for
            all.
    """

    definition: str
    language: str
    texts: tuple[_Text, ...] = ()

    @cached_property
    def sql(self) -> SqlFunction | None:
        """Its parse trees, if it is in LANGUAGE sql and has only SELECTs."""
        return read_sql_function(self.definition) if self.language == "sql" else None

    @cached_property
    def signature(self) -> SqlFunction | None:
        """Its parameters and result, whatever its language; the same object as `sql` if that is not None."""
        return self.sql or read_signature(self.definition)

    @cached_property
    def plpgsql(self) -> PlpgsqlBody | None:
        """Its trees, if it is in PL/pgSQL and its structure is clear."""
        body = self._source
        return None if self.language != "plpgsql" or body is None else read_plpgsql(body)

    @cached_property
    def variables(self) -> VariableTypes:
        """Its parameters, and the variables that a body in PL/pgSQL declares."""
        if self.signature is None:
            return {}
        if self.plpgsql is None:
            return {name: [each] for name, each in self.signature.parameters.items()}
        names = {*self.signature.all_parameters, *self.plpgsql.variables}
        return {
            name: [*self.signature.all_parameters.get(name, ()), *self.plpgsql.variables.get(name, ())]
            for name in names
        }

    @cached_property
    def records(self) -> Mapping[str, list[Node]]:
        """The queries whose rows each `record` variable of a body in PL/pgSQL holds.

        Variables whose values may also come from elsewhere are left out.
        """
        if self.plpgsql is None or self.signature is None:
            return {}
        parameters = self.signature.all_parameters
        return {name: each for name, each in self.plpgsql.records.items() if name not in parameters}

    @cached_property
    def around_statements(self) -> "BodyText":
        """The parts of a body that its trees do not show; the whole definition if it has no trees.

        Strings that are not SQL are left out, unless EXECUTE may run them.
        """
        if not self._has_trees:
            return self
        left: list[_Text] = []
        if self.plpgsql is not None:
            body = next(each for each in self._texts[0] if each[:2] == (self._source, 1))
            tokens = [each for each in body[2] if self.plpgsql.leaves(each.start)]
            left.append((body[0], 1, tokens))
            left += [text for text, root in self._quoted if not root and "execute" in self._names_in(body[2])]
        return BodyText("", self.language, tuple(left) or _NOTHING)

    @cached_property
    def text_strings(self) -> "BodyText":
        """The strings that are not SQL, if the body has trees."""
        return BodyText(
            "", self.language, tuple(text for text, roots in self._quoted if not roots) or _NOTHING
        )

    @cached_property
    def quoted_roots(self) -> list[Node]:
        """The trees of the strings that are SQL, if the body has trees."""
        return [root for _, roots in self._quoted for root in roots]

    @property
    def statements(self) -> list[Node] | None:
        """The trees of all its expressions and statements; None if it may run more than these."""
        if self.signature is None:
            return None
        defaults = [root for root, _ in self.signature.defaults]
        if self.sql is not None:
            return [*self.sql.statements, *defaults]
        body = self.plpgsql
        return [*body.roots, *defaults] if body is not None and body.is_whole else None

    @property
    def _has_trees(self) -> bool:
        return self.sql is not None or (self.plpgsql is not None and self.signature is not None)

    @cached_property
    def _quoted(self) -> list[tuple[_Text, list[Node]]]:
        """The strings in the definition, each with its trees; no trees for a string that is not SQL.

        The body itself and the formats of RAISE are left out.
        """
        if not self._has_trees:
            return []
        formats = Counter(self.plpgsql.formats if self.plpgsql else ())
        source = None if self.sql is not None and self.sql.is_standard else self._source
        found = []
        for text in self._texts[0][1:]:
            if text[:2] == (source, 1):
                continue
            if text[1] == 2 and formats[text[0]]:
                formats[text[0]] -= 1
                continue
            found.append((text, _roots_of(text[0])))
        return found

    @cached_property
    def _source(self) -> str | None:
        """The last string of the definition.

        This is the body, unless the body is standard SQL (BEGIN ATOMIC or RETURN), which is not a string.
        """
        _, _, head = self._texts[0][0]
        strings = [string_content(token.text) for token in head if token.kind is TokenKind.STRING]
        return strings[-1] if strings else None

    @property
    def hides_calls(self) -> bool:
        """Whether it may call more than its tokens show.

        True if it builds SQL at run time, cannot be read to its end, has INTO in the middle of a name or
        call, or if a setting decides where its strings end. In a pooled session, the server may have cached
        such a body as it read it for another client, with another setting.
        """
        texts, is_readable = self._texts
        return (
            not is_readable
            or _STRING_SETTING in self.names
            or depends_on_escapes(self._source or "")
            or any(self._hides_calls(tokens) for _, _, tokens in texts)
            or any(
                self.language == "plpgsql" and depth == 1 and joins_around_into(tokens)
                for _, depth, tokens in texts
            )
        )

    def _hides_calls(self, tokens: list[Token]) -> bool:
        follows_unicode_name = False
        for at, token in enumerate(tokens):
            word = token.text.lower()
            # UESCAPE chooses an escape character that `_decode` does not know.
            if word == "uescape" and follows_unicode_name:
                return True
            if word == "execute" and self.language == "plpgsql" and not _runs_plain_text(tokens, at):
                return True
            follows_unicode_name = _is_unicode_name(token)
        return False

    @property
    def code_tokens(self) -> Iterator[Token]:
        """Yield the tokens of the definition, of the body, and of strings that are SQL."""
        statements = {text for (text, _, _), roots in self._quoted if roots} | {self._source}
        for text, depth, tokens in self._texts[0]:
            if depth == 0 or text in statements:
                yield from tokens

    @cached_property
    def calls(self) -> set[tuple[str, str]]:
        """Schema and name of each apparent call; "" without a schema."""
        return {
            (schema, name)
            for before, dot, written, after in self._neighbours
            if after.text == "(" and written.kind in _NAME_KINDS
            for schema in _schemas(before, dot)
            for name in _meanings(written)
        }

    @cached_property
    def fields(self) -> set[str]:
        """Names after a dot. Each may be a function that is called with the value before the dot."""
        return {
            name
            for _, dot, written, _ in self._neighbours
            if dot.text == "." and written.kind in _NAME_KINDS
            for name in _meanings(written)
        }

    @cached_property
    def qualified_names(self) -> set[tuple[str, str]]:
        """Schema and name of each possible relation; "" without a schema."""
        return {
            (schema, name)
            for before, dot, written, _ in self._neighbours
            if written.kind in _NAME_KINDS
            for schema in _schemas(before, dot)
            for name in _meanings(written)
        }

    @cached_property
    def operator_schemas(self) -> set[str]:
        """Schemas that OPERATOR(...) names."""
        return {
            schema
            for before, dot, written, _ in self._neighbours
            if written.kind is TokenKind.OPERATOR
            for schema in _schemas(before, dot)
            if schema
        }

    @cached_property
    def names(self) -> set[str]:
        """All words and quoted names."""
        return {name for _, _, tokens in self._texts[0] for name in self._names_in(tokens)}

    @staticmethod
    def _names_in(tokens: list[Token]) -> set[str]:
        return {name for token in tokens if token.kind in _NAME_KINDS for name in _meanings(token)}

    def may_use_secrets_of(self, catalog: str, *, trusts_conditions: bool) -> bool:
        """Return whether the function may read a secret column of a system catalog.

        True if the definition or the body names the catalog and cannot be parsed as SQL, such as a body in
        PL/pgSQL.

        Args:
            catalog: the name of a system catalog that also has other columns.
            trusts_conditions: as in `find_secret_use`.
        """
        return any(
            text_may_use_secrets(text, if_unreadable=depth <= 1, trusts_conditions=trusts_conditions)
            for text, depth, tokens in self._texts[0]
            if catalog in self._names_in(tokens)
        )

    @cached_property
    def written_targets(self) -> frozenset[str] | None:
        """Names of the built-in types to which it casts explicitly; None if it may cast to other types."""
        found = [targets_in_tokens(tokens) for _, _, tokens in self._texts[0]]
        return None if None in found else frozenset().union(*filter(None, found))

    @cached_property
    def symbols(self) -> set[str]:
        """Its operators, also those in strings; not the `=` of `:=`."""
        return {
            token.text
            for _, before, token, _ in self._neighbours
            if token.kind is TokenKind.OPERATOR and not _is_assignment(before, token)
        } - {"::"}

    @property
    def _neighbours(self) -> Iterator[tuple[Token, Token, Token, Token]]:
        """Yield every token with the two tokens before it and the one after it."""
        for _, _, tokens in self._texts[0]:
            padded = [_NO_TOKEN, _NO_TOKEN, *tokens, _NO_TOKEN]
            yield from zip(padded, padded[1:], padded[2:], padded[3:], strict=False)

    @cached_property
    def _texts(self) -> tuple[list[_Text], bool]:
        """The definition and each string in it, as (text, depth, tokens); and whether all code was readable.

        The definition has depth 0, its body and other strings have depth 1, strings in them depth 2.
        """
        if self.texts:
            return list(self.texts), True
        texts: list[_Text] = []
        pending = [(self.definition, 0)]
        is_readable = True
        while pending:
            text, depth = pending.pop()
            tokens: list[Token] = []
            texts.append((text, depth, tokens))
            try:
                for token in tokenize(text) if depth else _without_own_name(tokenize(text)):
                    if tokens and _runs_on(tokens[-1], token):
                        is_readable = False
                    tokens.extend(_pieces(token))
                    if token.kind is TokenKind.STRING:
                        pending.append((string_content(token.text), depth + 1))
            except SqlRejectedError:
                # The definition and its strings must be readable; a string inside a string need not be SQL.
                is_readable = is_readable and depth > 1
            if depth > _MAX_STRING_DEPTH:
                return texts, False
        return texts, is_readable


@lru_cache(maxsize=8)
def read_body(definition: str, language: str) -> BodyText:
    """Return a function's definition; the last ones are kept, because several checks read each."""
    return BodyText(definition, language)


def _roots_of(text: str) -> list[Node]:
    """Return the trees of the statements in a text; none if it is not SQL."""
    try:
        return [{each.kind: each.fields} for each in parse_with_parameters(text)]
    except SqlRejectedError:
        return []


def _without_own_name(tokens: Iterator[Token]) -> Iterator[Token]:
    """Yield the tokens from the first parenthesis on: the function's own name is not a call."""
    is_in_head = True
    for token in tokens:
        is_in_head = is_in_head and token.text != "("
        if not is_in_head:
            yield token


def _pieces(token: Token) -> Iterator[Token]:
    """Yield a token, and then the name that directly follows a number in it (`1..strike()`, `1and`)."""
    yield token
    if token.kind is TokenKind.NUMBER:
        name = token.text.rpartition(".")[2].lstrip("0123456789")
        if name:
            yield Token(TokenKind.WORD, name, token.start + len(token.text) - len(name))


def _runs_on(name: Token, token: Token) -> bool:
    """Return whether a token continues a name that directly follows a number: `1..löschen()`, `1..a$b()`."""
    is_adjacent = name.start + len(name.text) == token.start
    is_letter = token.kind is TokenKind.WORD or token.text.startswith("$")
    return is_adjacent and is_letter and name.kind is TokenKind.WORD


def _runs_plain_text(tokens: list[Token], at: int) -> bool:
    """Return whether EXECUTE runs one plain string, or is the only word of a string and so not a command.

    A plain string needs no further check: it is read like any other string of the definition.
    """
    if len(tokens) == 1:
        return True
    text, end = (*tokens[at + 1 : at + 3], _NO_TOKEN, _NO_TOKEN)[:2]
    return (
        text.kind is TokenKind.STRING and text.text[0] in "'$" and end.text.lower() in _ENDS_OF_EXECUTED_TEXT
    )


def _schemas(before: Token, dot: Token) -> set[str]:
    return _meanings(before) if dot.text == "." and before.kind in _NAME_KINDS else {""}


def _is_assignment(before: Token, token: Token) -> bool:
    return before.text == ":" and token.text == "=" and before.start + 1 == token.start


def _is_unicode_name(token: Token) -> bool:
    return token.kind is TokenKind.QUOTED_NAME and not token.text.startswith('"')


def _meanings(token: Token) -> set[str]:
    """Return the names that a written name can mean.

    Only some servers fold letters beyond ASCII to lower case, and the server cuts long names.
    """
    if token.kind is TokenKind.QUOTED_NAME:
        name = token.text[token.text.index('"') + 1 : -1].replace('""', '"')
        meanings = {_decode(name) if _is_unicode_name(token) else name}
    else:
        meanings = {token.text.translate(_ASCII_LOWER), token.text.lower(), token.text}
    return meanings | {_cut(name) for name in meanings}


def _cut(name: str) -> str:
    return name.encode("utf-8", errors="replace")[:_MAX_NAME_BYTES].decode("utf-8", errors="ignore")


def _decode(name: str) -> str:
    """Return a name with its Unicode escapes decoded; a pair of surrogates becomes one character."""

    def character(escape: re.Match[str]) -> str:
        digits = escape[1] or escape[2]
        return chr(min(int(digits, 16), 0x10FFFF)) if digits else "\\"

    decoded = _UNICODE_ESCAPE.sub(character, name)
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
