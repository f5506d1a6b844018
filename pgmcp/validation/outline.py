"""Makes the outline of a statement: the statement without literals, and without names unknown to sqlglot.

    select o.total from orders o where o.id = 17   ─▶   select «0».total from «1» «0» where «0».id = 0

sqlglot's parser recognizes only names that occur in its own code and tables. It copies all other names, so
two statements with the same outline get the same tree, except for those names and the values of the literals.
If sqlglot parsed a statement as one read, another with the same outline need not be parsed.

This is for the second grammar only: PostgreSQL's own grammar and the meaning of names are checked every time.
"""

import re
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MappingProxyType
from typing import Any, Final

from pgmcp.validation.memo import template_of
from pgmcp.validation.sqlglot_parser import keywords  # isort: split

from sqlglot import helper, parser, time, tokens
from sqlglot.dialects import dialect, postgres
from sqlglot.expressions import core, datatypes
from sqlglot.parsers import base
from sqlglot.parsers import postgres as postgres_parser

_SOURCES: Final = (parser, base, postgres_parser, dialect, postgres, helper, time, tokens, core, datatypes)
_MAX_TEXT: Final = 500
"""Maximum length of a string constant in which words are looked for; longer ones are documentation."""

_WORD: Final = re.compile(r"\w+")
_NAME: Final = re.compile(r"(?<!\w)[A-Za-z_]\w*", re.ASCII)


_known_words: set[str] = set()
"""The words that sqlglot may recognize, in upper case; empty until `gather_words` is called."""


def outline_of(sql: str) -> str | None:
    """Return the outline of a statement.

    None if simple rules cannot find its literals or names, or before `gather_words` was called.
    """
    template = template_of(sql) if _known_words else None
    if template is None:
        return None
    places: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        name = match[0]
        # The NUL makes the replacement differ from every name in the text, which contains none.
        return name if is_known(name) else places.setdefault(name, f"{len(places)}\0")

    return _NAME.sub(replace, template)


def is_known(name: str) -> bool:
    """Return whether sqlglot's parser may treat a name differently from others."""
    return name.upper() in _known_words


def gather_words() -> None:
    """Gather the words that sqlglot's parser recognizes, and some more; takes about 0.1 s.

    They come from the constants of its functions, from its tables, and from the names of its classes. From
    class names, sqlglot derives names of SQL functions.
    """
    words: set[str] = set()
    for text in _texts([*(vars(module) for module in _SOURCES), keywords()]):
        if len(text) <= _MAX_TEXT:
            words.update(_WORD.findall(text.upper()))
    _known_words.update(words)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield every text below some values, those in functions and classes of sqlglot included."""
    pending = list(values)
    seen: dict[int, Any] = {}  # keeps the objects alive, so that no id is used again
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        if id(value) not in seen:
            seen[id(value)] = value
            pending += _parts(value)


def _parts(value: Any) -> Iterable[Any]:
    match value:
        case dict() | MappingProxyType():
            return (*value.keys(), *value.values())
        case list() | tuple() | set() | frozenset():
            return value
        case CodeType():
            return value.co_consts
        case FunctionType():
            return value.__code__, value.__defaults__, value.__kwdefaults__
        case staticmethod() | classmethod():
            return (value.__func__,)
        case type() if value.__module__.startswith("sqlglot"):
            return value.__name__, vars(value), vars(value).get("__members__")
        case _:  # members of enumerations, properties
            return [getattr(value, name, None) for name in ("_name_", "_value_", "fget", "func")]
