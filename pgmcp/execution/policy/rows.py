"""Makes functions and relations of the rows that `pgmcp.execution.policy.statements` returns."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import msgspec

from pgmcp.execution.policy.resolution import read_search_path
from pgmcp.execution.result import JsonScalar
from pgmcp.validation.catalog_objects import (
    CastColumn,
    CatalogCast,
    CatalogFunction,
    CatalogOperator,
    CatalogRelation,
    Volatility,
)
from pgmcp.validation.refusal_reasons import RefusalReason

decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_calls = msgspec.json.Decoder(tuple[tuple[str, str, int, str], ...]).decode
_decode_names = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode
_decode_columns = msgspec.json.Decoder(tuple[CastColumn, ...]).decode
_decode_casts = msgspec.json.Decoder(tuple[CatalogCast, ...]).decode
_decode_operators = msgspec.json.Decoder(list[tuple[str, str, int, int]]).decode
_decode_oids = msgspec.json.Decoder(frozenset[int]).decode
_Part = tuple[str, str, Volatility, bool, str, str, tuple[str, ...] | None]
_decode_parts = msgspec.json.Decoder(list[_Part]).decode


def mark(function: CatalogFunction, unreadable: Collection[str]) -> CatalogFunction:
    """Return the function, marked as unreadable if the role may not read what it does.

    Among `internal` functions outside pg_catalog, only aggregates are described by pg_aggregate.
    """
    is_aggregate = function.language == "internal" and function.schema != "pg_catalog"
    if "pg_proc" in unreadable or (is_aggregate and "pg_aggregate" in unreadable):
        parts = tuple(replace(part, is_unreadable=True) for part in function.parts)
        types = None if "pg_proc" in unreadable else function.argument_types
        return replace(function, is_unreadable=True, parts=parts, argument_types=types)
    return function


def read_relations(
    rows: Iterable[list[JsonScalar]], unknown: Iterable[list[JsonScalar]]
) -> list[CatalogRelation]:
    """Return the relations that call functions, and those for which that is unknown."""
    return [*map(_relation, rows), *map(_unknown_relation, unknown)]


# Any: the type of each cell depends on its column in pgmcp's own statement.
def read_function(row: list[Any]) -> CatalogFunction:
    """Return the function that a row of FUNCTIONS describes."""
    schema, name, volatility, security_definer, language, extension, takes_one, takes_row, *unseen = row
    operators, types, row_types, parts, definition, *call = unseen
    min_arguments, max_arguments, casts, argument_types, variadic_element, search_path, *runs_as = call
    owner, owner_name, settings, result_types, is_written_cast, spares_literals = runs_as
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
        definition=definition or "",
        is_body_unreadable=definition == "",
        min_arguments=min_arguments,
        max_arguments=max_arguments,
        casts=_decode_casts(casts) if casts else (),
        argument_types=tuple(map(int, argument_types.split())),
        variadic_element=variadic_element,
        search_path=None if search_path is None else read_search_path(search_path),
        overloads=overloads,
        owner=owner,
        owner_name=owner_name,
        settings=decode_texts(settings) if settings else (),
        result_types=decode_texts(result_types) if result_types else (),
        is_written_cast=is_written_cast,
        spares_literals=spares_literals,
    )


def _part(part: _Part) -> CatalogFunction:
    """Return a function that is part of an aggregate."""
    schema, name, volatility, security_definer, language, extension, settings = part
    return CatalogFunction(
        schema, name, volatility, security_definer, language, extension, settings=settings or ()
    )


def guard(function: CatalogFunction, settings: Collection[str]) -> CatalogFunction:
    """Return the function, marked if it sets one of these settings for its own duration.

    Args:
        settings: in lower case.
    """
    parts = tuple(guard(part, settings) for part in function.parts)
    changes_caller = any(name in settings for name in function.settings)
    if not changes_caller and parts == function.parts:
        return function
    return replace(function, parts=parts, changes_caller=changes_caller)


def _relation(row: list[Any]) -> CatalogRelation:
    schema, name, calls, reads, types, runs_program, secrets, cast_columns, policy, *readers = row
    is_ours, owners, owner, constant_types = readers
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
        acts_for_us=is_ours,
        acts_for_owners=_decode_oids(owners or "[]") if policy else None,
        owner=owner,
        constant_types=decode_texts(constant_types) if constant_types else (),
        argument_types=frozenset(
            (schema, name, tuple(map(int, types.split()))) for schema, name, _, types in called
        ),
    )


def _unknown_relation(row: list[Any]) -> CatalogRelation:
    schema, name, reason, is_ours, owners = row
    return CatalogRelation(
        schema,
        name,
        unreadable=RefusalReason(reason),
        acts_for_us=is_ours,
        acts_for_owners=None if owners is None else _decode_oids(owners),
    )
