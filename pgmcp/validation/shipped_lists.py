"""Reads the shipped lists of functions and operators: PostgreSQL's own, and those of common extensions.

`scripts/generate_function_list.py` writes the lists of functions into data files, which people review.
Operators are known by symbol: those of PostgreSQL 13 to 18, its contrib extensions, pgvector and PostGIS, all
of which only read. A database can define the same symbol for its own types; `pgmcp.validation.functions`
checks that with the database's catalog.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pgmcp.validation.refusal_reasons import RefusalReason
from pgmcp.validation.type_system import TEXT_TYPE

# SELECT DISTINCT oprname FROM pg_operator WHERE oid < 16384, in PostgreSQL 13 to 18.
_BUILT_IN = """
    !! != !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / <
    <-> << <<= <<| <= <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&>
    |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*
"""
# The same query with oid >= 16384, with every contrib extension and pgvector installed.
_CONTRIB_AND_PGVECTOR = """
    #<# #<=# #= #># #>=# %# %% %> %>> <#> <% <%> <+> <->> <->>> <<% <<-> <<<-> <=> <@> <~> ?<@ ?@
    ?@> ?~ ^<@ ^? ^@> ^~ ~>
"""
# PostGIS manual, chapter "Operators".
_POSTGIS = "&&& &/& @@ @>> <<@ <<->> <<#>> |=| ~== ~~="

_BUILT_IN_SYMBOLS = frozenset(_BUILT_IN.split())
_KNOWN = frozenset(f"{_BUILT_IN} {_CONTRIB_AND_PGVECTOR} {_POSTGIS}".split())

_MAX_NAME_CHARACTERS = 63
_NEAR_ENOUGH = 0.8
"""Minimum similarity of a near name, by `difflib`: one wrong letter in five."""

_FOR_TEXT = "/text"
"""A verdict with this suffix becomes a `ListedFunction` with `is_for_text`."""


@dataclass(frozen=True, slots=True)
class ListedFunction:
    """A line of the shipped lists.

    Attributes:
        reason: why the function is refused; None if it is allowed.
        argument_count: number of arguments of the refused overloads; None for all overloads.
        is_for_text: whether only overloads whose first argument is text are refused.
    """

    reason: RefusalReason | None
    argument_count: int | None = None
    is_for_text: bool = False

    def refusal(self, argument_count: int | None, types: Sequence[int] | None = None) -> RefusalReason | None:
        """Return why a call with this many arguments is refused; None if it is not.

        Args:
            argument_count: number of arguments in the call; None if it is not known.
            types: the types of the overload's arguments; None if they are not known.
        """
        if None not in (self.argument_count, argument_count) and self.argument_count != argument_count:
            return None
        return self.refusal_by_types(types)

    def refusal_by_types(self, types: Sequence[int] | None) -> RefusalReason | None:
        """Return why an overload is refused, however many arguments the call has; None if it is not."""
        is_other = self.is_for_text and types is not None and tuple(types[:1]) != (TEXT_TYPE,)
        return None if is_other else self.reason


def builtin(schema: str, name: str) -> ListedFunction | None:
    """Return the entry of a function of PostgreSQL; None without one. The schema "" counts as pg_catalog."""
    if schema == "information_schema":
        return _builtin_functions().get(f"{schema}.{name}")
    return _builtin_functions().get(name) if schema in ("", "pg_catalog") else None


def near_builtin_functions(name: str) -> list[str]:
    """Return at most three of PostgreSQL's functions that only read and are spelled almost like this name."""
    if len(name) > _MAX_NAME_CHARACTERS:
        return []
    allowed = (
        known
        for known, listed in _builtin_functions().items()
        if listed.reason is None and known[0] == name[0]
    )
    return get_close_matches(name, allowed, n=3, cutoff=_NEAR_ENOUGH)


def extension_function(name: str, extension: str = "") -> ListedFunction | None:
    """Return the entry of a function of an extension, in any schema; None without one.

    A row allows functions only of its own extension: `st_*` of postgis does not cover an `st_` function of
    postgis_topology. A row that refuses a full name also applies to all extensions that do not list that name
    themselves.

    Args:
        extension: the extension of the function; "" if it is not known, so that it can be any.
    """
    own = _extension_functions(extension)
    if name in own.exact:
        return own.exact[name]
    refused = _extension_functions("").exact.get(name)
    if refused and refused.reason:
        return refused
    return next((listed for prefix, listed in own.prefixes if name.startswith(prefix)), None)


def judged_by_types() -> tuple[str, ...]:
    """Return the names of the functions of extensions that are refused only for some types."""
    rows = _rows("extension_functions.tsv")
    return tuple(sorted({name for _, name, verdict, _ in rows if verdict.endswith(_FOR_TEXT)}))


@cache
def _builtin_functions() -> dict[str, ListedFunction]:
    return {name: _listed(verdict) for name, verdict, _ in _rows("builtin_functions.tsv")}


class _ExtensionFunctions(NamedTuple):
    """The listed names, and the listed prefixes (`st_*`), longest first."""

    exact: dict[str, ListedFunction]
    prefixes: tuple[tuple[str, ListedFunction], ...]


@cache
def _extension_functions(extension: str) -> _ExtensionFunctions:
    """Return the entries of one extension; for "", those of all extensions, where a refusal wins."""
    exact: dict[str, ListedFunction] = {}
    prefixes: list[tuple[str, ListedFunction]] = []
    for owner, name, verdict, _ in _rows("extension_functions.tsv"):
        if extension not in ("", owner):
            continue
        if name.endswith("*"):
            prefixes.append((name.removesuffix("*"), _listed(verdict)))
        elif name not in exact or exact[name].reason is None:
            exact[name] = _listed(verdict)
    return _ExtensionFunctions(exact, tuple(sorted(prefixes, key=lambda row: -len(row[0]))))


def _rows(file_name: str) -> Iterable[list[str]]:
    text = files("pgmcp.validation").joinpath(file_name).read_text(encoding="utf-8")
    # The first two lines name the servers that the list was made from, and the columns.
    return (line.split("\t") for line in text.splitlines()[2:])


def _listed(verdict: str) -> ListedFunction:
    if verdict == "allowed":
        return ListedFunction(None)
    reason, _, overload = verdict.removeprefix("refused:").partition("/")
    if verdict.endswith(_FOR_TEXT):
        return ListedFunction(RefusalReason(reason), is_for_text=True)
    return ListedFunction(RefusalReason(reason), int(overload) if overload else None)


def is_known_operator(symbol: str) -> bool:
    """Return whether a symbol, in pg_catalog or without a schema, is an operator that only reads."""
    return symbol in _KNOWN or symbol[0].isupper()  # BETWEEN and the like are words in the tree


def is_built_in_operator(symbol: str) -> bool:
    """Return whether PostgreSQL itself has an operator with this symbol, whatever extensions add to it."""
    return symbol in _BUILT_IN_SYMBOLS or symbol[0].isupper()
