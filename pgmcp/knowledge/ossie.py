"""Reads models of Apache Ossie (formerly OSI), in YAML or JSON.

The same version string can mean different shapes, so the keys decide: a list under `semantic_model` (0.1 and
early 0.2), or one model at the top (later 0.2). The core specification has no PostgreSQL dialect. If an
expression is given in several dialects, the one nearest to PostgreSQL that its grammar can parse is used.
"""

# ruff: noqa: S608 - the statements made here pass the guards like any other

from collections.abc import Mapping
from typing import Any, Final

from pgmcp.catalog.catalog import Table
from pgmcp.knowledge.entries import (
    Knowledge,
    Metric,
    NotImportableError,
    Origin,
    described,
    items_of,
    list_of,
    mapping_of,
    name_of,
    synonyms_of,
    text_of,
    texts_of,
)
from pgmcp.knowledge.files import models_of
from pgmcp.knowledge.notes import note_column, note_table
from pgmcp.knowledge.relations import Dataset, Relations, Relationship, parse
from pgmcp.knowledge.tables import Tables, add_join, find_column, is_unique, source_name
from pgmcp.validation.expressions import is_plain_column

_PREFERRED: Final = ("POSTGRESQL", "POSTGRES", "OSSIE_SQL_2026", "ANSI_SQL")
_NO_SQL: Final = frozenset({"MDX", "TABLEAU", "MAQL", "DAX"})


def read_ossie(data: Mapping[str, Any], tables: Tables) -> Knowledge:
    """Return metrics, joins, descriptions and synonyms of an Ossie document."""
    knowledge = Knowledge(Origin.OSSIE)
    for model in models_of(dict(data)):
        _read_model(model, tables, knowledge)
    return knowledge


def _read_model(model: Mapping[str, Any], tables: Tables, knowledge: Knowledge) -> None:
    datasets: dict[str, Dataset] = {}
    for item in items_of(model.get("datasets")):
        dataset = _read_dataset(item, tables, knowledge)
        if dataset is not None:
            datasets[dataset.name] = dataset
    relationships = []
    for item in items_of(model.get("relationships")):
        try:
            relationships.append(_read_relationship(item, datasets, tables, knowledge))
        except NotImportableError as error:
            knowledge.leave_out(f"relationship {name_of(item)}", error)
    relations = Relations(datasets, relationships, tables)
    for item in items_of(model.get("metrics")):
        _read_metric(item, relations, knowledge)


def _read_dataset(item: Mapping[str, Any], tables: Tables, knowledge: Knowledge) -> Dataset | None:
    name = name_of(item)
    try:
        table = tables.find(source_name(text_of(item.get("source"))), knowledge)
    except NotImportableError as error:
        knowledge.leave_out(f"dataset {name}", error)
        return None
    synonyms = synonyms_of(item.get("ai_context"))
    note_table(knowledge, tables, table, described(item.get("description")), synonyms)
    _note_instructions(knowledge, tables.display_name(table), item)
    _check_keys(item, table, tables, knowledge)
    fields: dict[str, str] = {}
    for each in items_of(item.get("fields")):
        try:
            fields[name_of(each)] = expression_of(each)
        except NotImportableError as error:
            knowledge.leave_out(f"field {name}.{name_of(each)}", error)
            continue
        _describe_field(each, fields[name_of(each)], table, tables, knowledge)
    return Dataset(name, table, fields)


def _check_keys(item: Mapping[str, Any], table: Table, tables: Tables, knowledge: Knowledge) -> None:
    keys = [item.get("primary_key"), *list_of(item.get("unique_keys"))]
    for key in keys:
        columns = texts_of(key) if key else []
        if columns and not is_unique(table, columns):
            names = ", ".join(columns)
            knowledge.remark(
                f"the file declares {names} as a key of {tables.display_name(table)}, "
                "but the catalog does not"
            )


def _describe_field(
    item: Mapping[str, Any], expression: str, table: Table, tables: Tables, knowledge: Knowledge
) -> None:
    text, synonyms = described(item.get("description")), synonyms_of(item.get("ai_context"))
    if is_plain_column(expression):
        note_column(knowledge, tables, table, expression.strip('"'), text, synonyms)
        return
    name = name_of(item)
    try:
        dataset = Dataset(name, table, {name: expression})
        sql = Relations({name: dataset}, [], tables).sql_of_field(dataset, name, qualifies=False)
    except NotImportableError as error:
        knowledge.leave_out(f"field {name}", error)
        return
    also = f"; also called {', '.join(synonyms)}" if synonyms else ""
    knowledge.terms[name] = f"{text or 'computed'}{also}; SQL: {sql} of {tables.display_name(table)}"
    knowledge.conditions[name] = f"SELECT {sql} FROM {tables.display_name(table)}"


def _note_instructions(knowledge: Knowledge, name: str, item: Mapping[str, Any]) -> None:
    context = item.get("ai_context")
    if isinstance(context, str) and not synonyms_of(context):
        knowledge.note(name, context)
    elif instructions := described(mapping_of(context).get("instructions")):
        knowledge.note(name, instructions)


def expression_of(item: Mapping[str, Any]) -> str:
    """Return the expression of a field or metric in the dialect that is nearest to PostgreSQL's.

    Raises:
        NotImportableError: no dialect of it is an expression of PostgreSQL.
    """
    given = item.get("expression")
    if isinstance(given, str):
        return given
    by_dialect = {
        text_of(each.get("dialect")).upper(): text_of(each.get("expression"))
        for each in items_of(mapping_of(given).get("dialects"))
    }
    order = sorted(
        by_dialect, key=lambda name: _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
    )
    problem = NotImportableError("it has no expression in a dialect of SQL")
    for dialect in order:
        if dialect in _NO_SQL or not by_dialect[dialect]:
            continue
        try:
            parse(by_dialect[dialect])
        except NotImportableError as error:
            problem = error
        else:
            return by_dialect[dialect]
    raise problem


def _read_relationship(
    item: Mapping[str, Any], datasets: Mapping[str, Dataset], tables: Tables, knowledge: Knowledge
) -> Relationship:
    one, other = (datasets.get(text_of(item.get(side))) for side in ("from", "to"))
    if one is None or other is None:
        raise NotImportableError("one of its datasets was left out")
    columns = _columns(one, texts_of(item.get("from_columns")))
    other_columns = _columns(other, texts_of(item.get("to_columns")))
    if not columns or len(columns) != len(other_columns):
        raise NotImportableError("its columns do not pair up")
    add_join(knowledge, tables, one.table, columns, other.table, other_columns)
    return Relationship(one.name, other.name, tuple(columns), tuple(other_columns))


def _columns(dataset: Dataset, names: list[str]) -> list[str]:
    columns = []
    for name in names:
        expression = dataset.field_expression(name) or name
        if not is_plain_column(expression):
            raise NotImportableError(f"its field {name} is not a column")
        columns.append(find_column(dataset.table, expression.strip('"')).name)
    return columns


def _read_metric(item: Mapping[str, Any], relations: Relations, knowledge: Knowledge) -> None:
    name = name_of(item)
    text = described(item.get("description"))
    synonyms = synonyms_of(item.get("ai_context"))
    try:
        expression, source = relations.aggregate(expression_of(item))
    except NotImportableError as error:
        knowledge.leave_out(f"SQL of metric {name}", error)
        if text:
            knowledge.metrics[name] = Metric(name, description=text, synonyms=synonyms)
        return
    is_one_value = "_by_" not in name and "group" not in text.lower()
    knowledge.metrics[name] = Metric(
        name,
        description=text,
        synonyms=synonyms,
        expression=expression,
        source=source,
        is_one_value=is_one_value,
    )
