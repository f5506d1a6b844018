"""Reads dbt's `semantic_manifest.json` and `manifest.json`, of dbt 1.6 and later.

The first file has metrics over semantic models. The second has descriptions of tables, and tests that say
which values and references to expect. `osi_document.json` is refused, because it lacks filters and offsets of
metrics.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pgmcp.catalog.catalog import Table
from pgmcp.knowledge.dbt_metrics import Metrics, NeedsWordsError
from pgmcp.knowledge.dbt_models import Models, SemanticModel, expression_of
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
from pgmcp.knowledge.notes import note_column, note_table, note_values
from pgmcp.knowledge.tables import SourceName, Tables, add_join, find_column
from pgmcp.validation.expressions import is_plain_column

_TABLE_KINDS: Final = ("model", "seed", "snapshot", "source")


def read_semantics(data: Mapping[str, Any], tables: Tables) -> Knowledge:
    """Return metrics, joins and descriptions of a `semantic_manifest.json`."""
    knowledge = Knowledge(Origin.DBT)
    models = Models(data, tables, knowledge)
    metrics = Metrics(data, models)
    for model in models.by_name.values():
        _describe_model(model, tables, knowledge)
    for item in items_of(data.get("metrics")):
        _read_metric(item, metrics, knowledge)
    _read_joins(models, knowledge)
    for saved in items_of(data.get("saved_queries")):
        knowledge.leave_out(
            f"saved query {name_of(saved)}", "it groups metrics, which are imported separately"
        )
    return knowledge


def _read_metric(item: Mapping[str, Any], metrics: Metrics, knowledge: Knowledge) -> None:
    name = name_of(item)
    meta = mapping_of(item.get("config")).get("meta") or item.get("meta")
    metric = Metric(name, name_of(item, "label"), described(item.get("description")), synonyms_of(meta))
    try:
        value = metrics.value(name)
    except NeedsWordsError as error:
        knowledge.metrics[name] = replace(metric, words=str(error))
        knowledge.leave_out(f"SQL of metric {name}", error)
        return
    except NotImportableError as error:
        if metric.description:
            knowledge.metrics[name] = metric
        knowledge.leave_out(f"SQL of metric {name}", error)
        return
    knowledge.metrics[name] = replace(
        metric,
        expression=value.expression,
        source=value.source,
        time=value.time,
        is_one_value="_by_" not in name,
    )


def _describe_model(model: SemanticModel, tables: Tables, knowledge: Knowledge) -> None:
    note_table(knowledge, tables, model.table, described(model.data.get("description")))
    for item in [*items_of(model.data.get("dimensions")), *model.entities]:
        if is_plain_column(expression_of(item)):
            note_column(
                knowledge, tables, model.table, expression_of(item), described(item.get("description"))
            )


def _read_joins(models: Models, knowledge: Knowledge) -> None:
    for model in models.by_name.values():
        for entity in model.entities:
            if text_of(entity.get("type")).lower() != "foreign" or not is_plain_column(expression_of(entity)):
                continue
            for other in models.by_name.values():
                far = other.entity(name_of(entity), ("primary",))
                if far is None or other is model or not is_plain_column(expression_of(far)):
                    continue
                try:
                    one = find_column(model.table, expression_of(entity)).name
                    two = find_column(other.table, expression_of(far)).name
                except NotImportableError as error:
                    knowledge.leave_out(f"join of {model.name} and {other.name}", error)
                    continue
                add_join(knowledge, models.tables, model.table, [one], other.table, [two])


def read_manifest(data: Mapping[str, Any], tables: Tables, *, has_semantics: bool = True) -> Knowledge:
    """Return descriptions, accepted values and references of a `manifest.json`.

    Args:
        has_semantics: whether the project's metrics are read from its other manifest.
    """
    knowledge = Knowledge(Origin.DBT)
    nodes = {**mapping_of(data.get("nodes")), **mapping_of(data.get("sources"))}
    found: dict[str, Table] = {}
    for key, node in nodes.items():
        table = _find_table(mapping_of(node), tables, knowledge)
        if table is not None:
            found[key] = table
            _describe_node(mapping_of(node), table, tables, knowledge)
    if mapping_of(data.get("metrics")) and not has_semantics:
        knowledge.remark(
            "metrics are read from semantic_manifest.json, which dbt writes beside manifest.json"
        )
    for node in nodes.values():
        if mapping_of(node).get("resource_type") == "test":
            _read_test(node, found, tables, knowledge)
    return knowledge


def _find_table(node: Mapping[str, Any], tables: Tables, knowledge: Knowledge) -> Table | None:
    kind = text_of(node.get("resource_type"))
    if kind not in _TABLE_KINDS:
        return None
    name = text_of(node.get("alias")) or text_of(node.get("identifier")) or name_of(node)
    materialized = text_of(mapping_of(node.get("config")).get("materialized"))
    if materialized == "ephemeral":
        knowledge.leave_out(f"{kind} {name}", "it is ephemeral, so it has no table")
        return None
    try:
        return tables.find(
            SourceName(name, text_of(node.get("schema")), text_of(node.get("database"))), knowledge
        )
    except NotImportableError as error:
        knowledge.leave_out(f"{kind} {name}", error)
        return None


def _describe_node(node: Mapping[str, Any], table: Table, tables: Tables, knowledge: Knowledge) -> None:
    meta = mapping_of(node.get("config")).get("meta") or node.get("meta")
    note_table(knowledge, tables, table, described(node.get("description")), synonyms_of(meta))
    for column in items_of(node.get("columns")):
        meta = mapping_of(column.get("config")).get("meta") or column.get("meta")
        text = described(column.get("description"))
        if text or synonyms_of(meta):
            note_column(knowledge, tables, table, name_of(column), text, synonyms_of(meta))


def _read_test(
    node: Mapping[str, Any], found: Mapping[str, Table], tables: Tables, knowledge: Knowledge
) -> None:
    test = mapping_of(node.get("test_metadata"))
    given = mapping_of(test.get("kwargs"))
    arguments = {**given, **mapping_of(given.get("arguments"))}
    related = [text_of(key) for key in list_of(mapping_of(node.get("depends_on")).get("nodes"))]
    attached = text_of(node.get("attached_node")) or next(iter(related[-1:]), "")
    table = found.get(attached)
    column = text_of(node.get("column_name")) or text_of(arguments.get("column_name"))
    if table is None or not column or test.get("name") not in ("accepted_values", "relationships"):
        return
    config = mapping_of(node.get("config"))
    try:
        if test.get("name") == "accepted_values":
            is_partial = bool(config.get("where")) or text_of(config.get("severity")).lower() == "warn"
            note_values(
                knowledge, tables, table, column, texts_of(arguments.get("values")), is_partial=is_partial
            )
            return
        others = [key for key in related if key != attached] or [attached]
        if others[0] in found:
            one = find_column(table, column).name
            two = find_column(found[others[0]], text_of(arguments.get("field"))).name
            add_join(knowledge, tables, table, [one], found[others[0]], [two])
    except NotImportableError as error:
        knowledge.leave_out(f"test {test.get('name')} of {table.name}.{column}", error)
