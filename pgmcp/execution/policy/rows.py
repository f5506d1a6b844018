"""Makes functions, relations and facts from the rows that the statements of this package return."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

import msgspec

from pgmcp.execution.result import JsonScalar
from pgmcp.validation.catalog_objects import (
    CastColumn,
    CatalogCast,
    CatalogFunction,
    CatalogOperator,
    CatalogRelation,
    RelationRows,
    ResolutionFacts,
    Volatility,
)
from pgmcp.validation.name_lookup import ANY_SCHEMA
from pgmcp.validation.refusal_reasons import RefusalReason
from pgmcp.validation.type_system import CatalogType, TypeSystem

decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_calls = msgspec.json.Decoder(tuple[tuple[str, str, int, str], ...]).decode
_decode_names = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode
_decode_columns = msgspec.json.Decoder(tuple[CastColumn, ...]).decode
_decode_casts = msgspec.json.Decoder(tuple[CatalogCast, ...]).decode
_decode_operators = msgspec.json.Decoder(list[tuple[str, str, int, int, int]]).decode
_decode_signatures = msgspec.json.Decoder(tuple[tuple[str, str, str], ...]).decode
_decode_oids = msgspec.json.Decoder(frozenset[int]).decode
_Part = tuple[str, str, Volatility, bool, str, str, tuple[str, ...] | None]
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode = msgspec.json.Decoder(Any).decode
_decode_rows = msgspec.json.Decoder(tuple[int, bool, msgspec.Raw]).decode
_Output = list[tuple[str, int]]
_Fact = tuple[str, str, Any]
_PG_CATALOG: Final = "pg_catalog"
_SPACES: Final = " \t\n\r\f"
_MAX_NAME_BYTES: Final = 63
_SCHEMAS_OF_SETTING: Final = re.compile(
    rf"""[{_SPACES}]*(?:"((?:[^"]|"")*)"|([!#-+\--~][!-+\--~]*))[{_SPACES}]*,"""
)
"""A quoted name, or one of ASCII characters that begins with no quotation mark and has no comma or space."""


def mark_unreadable(function: CatalogFunction, unreadable: Collection[str]) -> CatalogFunction:
    """Return the function, marked as unreadable if the role may not read what it does.

    An aggregate has the language `internal`. So an `internal` function outside pg_catalog counts as an
    aggregate, whose parts are in pg_aggregate.
    """
    if "pg_depend" in unreadable:
        function = replace(function, stored_operators=None)
    is_aggregate = function.language == "internal" and function.schema != "pg_catalog"
    if "pg_proc" in unreadable or (is_aggregate and "pg_aggregate" in unreadable):
        parts = tuple(replace(part, is_unreadable=True) for part in function.parts)
        types = None if "pg_proc" in unreadable else function.argument_types
        return replace(function, is_unreadable=True, parts=parts, argument_types=types)
    return function


def read_relations(
    rows: Iterable[list[JsonScalar]], unknown: Iterable[list[JsonScalar]]
) -> list[CatalogRelation]:
    """Return the relations that call functions, and those whose calls are not known.

    Args:
        rows: the rows of `RELATIONS`.
        unknown: rows of the statement from `unreadable_relations`.
    """
    return [*map(_relation, rows), *map(_unknown_relation, unknown)]


# Any: the type of each cell depends on its column in pgmcp's own statement.
def read_function(row: list[Any]) -> CatalogFunction:
    """Return the function that a row of FUNCTIONS describes."""
    schema, name, volatility, security_definer, language, extension, takes_one, takes_row, *unseen = row
    operators, types, row_types, parts, definition, *call = unseen
    min_arguments, max_arguments, casts, argument_types, variadic_element, search_path, *runs_as = call
    owner, owner_name, settings, result_types, is_written_cast, spares_literals, targets, *named = runs_as
    result_type, names, counterparts, state_types, makes_state, stored_operators, hidden = named
    overloads = tuple(map(CatalogOperator._make, _decode_operators(operators))) if operators else ()
    return CatalogFunction(
        schema,
        name,
        volatility,
        security_definer,
        language,
        extension,
        takes_one,
        takes_row,
        operators=tuple({each.symbol: None for each in overloads}),
        types=decode_texts(types) if types else (),
        row_types=decode_texts(row_types) if row_types else (),
        parts=tuple(map(_part, _decode_parts(parts))) if parts else (),
        definition="" if extension else definition or "",
        extension_body=definition or "" if extension else "",
        is_body_unreadable=definition == "" and not extension,
        min_arguments=min_arguments,
        max_arguments=max_arguments,
        casts=_decode_casts(casts) if casts else (),
        argument_types=tuple(map(int, argument_types.split())),
        variadic_element=variadic_element,
        search_path=None if search_path is None else read_search_path(search_path),
        overloads=overloads,
        owner=owner,
        owner_name=owner_name,
        settings=_lower(decode_texts(settings)) if settings else (),
        result_types=decode_texts(result_types) if result_types else (),
        is_written_cast=is_written_cast,
        spares_literals=spares_literals,
        cast_targets=decode_texts(targets) if targets else (),
        result_type=result_type,
        argument_names=decode_texts(names) if names else (),
        counterparts=_decode_signatures(counterparts) if counterparts else (),
        state_types=decode_texts(state_types) if state_types else (),
        makes_state=makes_state,
        stored_operators=_decode_signatures(stored_operators) if stored_operators else (),
        hidden_schemas=frozenset(decode_texts(hidden)) if hidden else frozenset(),
    )


def _part(part: _Part) -> CatalogFunction:
    """Return a function that is part of an aggregate."""
    schema, name, volatility, security_definer, language, extension, settings = part
    return CatalogFunction(
        schema, name, volatility, security_definer, language, extension, settings=_lower(settings or ())
    )


def _lower(settings: Iterable[str]) -> tuple[str, ...]:
    """Return names of settings in lower case; the server's lower() depends on the locale."""
    return tuple(name.lower() for name in settings)


def mark_caller_change(function: CatalogFunction, settings: Collection[str]) -> CatalogFunction:
    """Return the function, marked if it sets one of these settings for its own duration.

    Args:
        settings: names of settings, in lower case.
    """
    parts = tuple(mark_caller_change(part, settings) for part in function.parts)
    changes_caller = any(name in settings for name in function.settings)
    if not changes_caller and parts == function.parts:
        return function
    return replace(function, parts=parts, changes_caller=changes_caller)


def _relation(row: list[Any]) -> CatalogRelation:
    schema, name, calls, reads, types, runs_program, secrets, cast_columns, policy, *readers = row
    for_connection, owners, owner, constant_types, locks_rows = readers
    called = _decode_calls(calls) if calls else ()
    return CatalogRelation(
        schema,
        name,
        tuple((schema, name, count) for schema, name, count, _ in called),
        _decode_names(reads) if reads else (),
        decode_texts(types) if types else (),
        runs_program,
        secrets=decode_texts(secrets) if secrets else (),
        cast_columns=_decode_columns(cast_columns) if cast_columns else (),
        policy=policy,
        acts_for_connection=for_connection,
        acts_for_owners=_decode_oids(owners or "[]") if policy else None,
        owner=owner,
        constant_types=decode_texts(constant_types) if constant_types else (),
        argument_types=frozenset(
            (schema, name, tuple(map(int, types.split()))) for schema, name, _, types in called
        ),
        locks_rows=locks_rows,
    )


def _unknown_relation(row: list[Any]) -> CatalogRelation:
    schema, name, reason, for_connection, owners = row
    return CatalogRelation(
        schema,
        name,
        unreadable=RefusalReason(reason),
        acts_for_connection=for_connection,
        acts_for_owners=None if owners is None else _decode_oids(owners),
    )


def resolution_facts(rows: Iterable[list[Any]]) -> ResolutionFacts:
    """Return the facts in the rows of `RESOLUTION`."""
    by_kind: dict[str, list[_Fact]] = defaultdict(list)
    for kind, schema, name, data in rows:
        # The columns of a relation are decoded when a statement uses them; most statements use few relations.
        by_kind[kind].append((schema, name, _decode_rows(data) if kind == "rows" else _decode(data)))
    relations: dict[str, dict[str, RelationRows]] = defaultdict(dict)
    for schema, name, (type_oid, _, columns) in by_kind["rows"]:
        relations[name][schema] = RelationRows(type_oid, columns)
    holders: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for schema, name, names in by_kind["relation"]:
        holders[name][schema] = frozenset(names)
    outputs = {name: list(map(_named, overloads)) for _, name, overloads in by_kind["output"]}
    types = TypeSystem(
        (CatalogType(oid, schema, name, *rest) for schema, name, (oid, *rest) in by_kind["type"]),
        ((source, target) for _, _, (source, target) in by_kind["cast"]),
        _sets_by_name(by_kind["column"]),
        _results_by_name(by_kind["function result"]),
        _results_by_name(by_kind["operator result"]),
        {type_oid for _, _, (type_oid, is_plain, _) in by_kind["rows"] if is_plain},
        (_range(row) for _, _, row in by_kind["range"]),
        _types_by_name(outputs),
    )
    return ResolutionFacts(
        types,
        tuple(_built_in(name, *data) for _, name, data in by_kind["function"]),
        tuple(CatalogOperator(_PG_CATALOG, name, *data) for _, name, data in by_kind["operator"]),
        holders,
        _sets_by_name(by_kind["result"]),
        {int(oid): frozenset(names) for _, oid, names in by_kind["field"]},
        relations,
        {each.type_oid: each for schemas in relations.values() for each in schemas.values()},
        outputs,
    )


def _sets_by_name(facts: Iterable[_Fact]) -> dict[str, frozenset[Any]]:
    return {name: frozenset(data) for _, name, data in facts}


def _results_by_name(facts: Iterable[_Fact]) -> dict[str, set[int]]:
    """Return the types of the results by the names of functions or operators."""
    found: dict[str, set[int]] = defaultdict(set)
    for _, result_type, names in facts:
        for name in names:
            found[name].add(int(result_type))
    return dict(found)


def _types_by_name(outputs: dict[str, list[_Output]]) -> dict[str, set[int]]:
    """Return the types of all OUT parameters by their names."""
    found: dict[str, set[int]] = defaultdict(set)
    for overloads in outputs.values():
        for name, type_oid in (column for columns in overloads for column in columns):
            found[name].add(type_oid)
    return dict(found)


def _named(columns: _Output) -> _Output:
    """Return the columns of a function's rows; a column without a name gets one from its place."""
    return [(name or f"column{place}", type_oid) for place, (name, type_oid) in enumerate(columns, start=1)]


def _range(row: dict[str, Any]) -> tuple[int, int, int]:
    """Return the subtype, range and multirange of a row of pg_range; PostgreSQL 13 has no multiranges."""
    return int(row["rngsubtype"]), int(row["rngtypid"]), int(row.get("rngmultitypid", 0))


def _built_in(
    name: str,
    least: int,
    most: int | None,
    types: str,
    variadic_element: int,
    result_type: int,
    argument_names: str | None,
) -> CatalogFunction:
    return CatalogFunction(
        _PG_CATALOG,
        name,
        "i",
        language="internal",
        min_arguments=least,
        max_arguments=most,
        argument_types=tuple(map(int, types.split())),
        variadic_element=variadic_element,
        result_type=result_type,
        argument_names=decode_texts(argument_names) if argument_names else (),
    )


def read_search_path(setting: str) -> tuple[str, ...]:
    """Return the schemas of a function's own search_path; only `ANY_SCHEMA` if they are not certain."""
    schemas = read_schemas(setting)
    return (ANY_SCHEMA,) if "$user" in schemas else schemas


def read_schemas(setting: str) -> tuple[str, ...]:
    """Return the schemas that a search_path names, `$user` included; only `ANY_SCHEMA` if not certain.

    The server does not read the setting as SQL (SplitIdentifierString): a name without quotation marks ends
    only at a space or comma, so `a--b` is a name. It cuts long names in its own encoding, where a character
    has up to four bytes. Beyond ASCII, names without quotation marks are not certain, because only some
    servers fold them.
    """
    if not setting.strip(_SPACES):
        return ()
    names = list(_SCHEMAS_OF_SETTING.finditer(f"{setting},"))
    if "".join(each[0] for each in names) != f"{setting},":
        return (ANY_SCHEMA,)
    schemas = [each[2].lower() if each[2] else each[1].replace('""', '"') for each in names]
    is_certain = all(len(each) * (1 if each.isascii() else 4) <= _MAX_NAME_BYTES for each in schemas)
    if not is_certain or ANY_SCHEMA in schemas:
        return (ANY_SCHEMA,)
    return tuple(filter(None, schemas))
