"""Finds the tables of dbt's semantic models, and writes their expressions and joins as SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pgmcp.catalog.catalog import Table
from pgmcp.errors import SqlRejectedError
from pgmcp.knowledge.dbt_filters import Element
from pgmcp.knowledge.entries import Knowledge, NotImportableError, items_of, mapping_of, name_of, text_of
from pgmcp.knowledge.tables import SourceName, Tables, find_column, is_unique
from pgmcp.quoting import quote_identifier
from pgmcp.validation.expressions import is_plain_column, read_expression

_MAX_HOPS: Final = 3
_ONE_SIDE: Final = ("primary", "unique")


@dataclass(frozen=True)
class SemanticModel:
    """A semantic model and its table."""

    name: str
    table: Table
    data: Mapping[str, Any]

    @property
    def entities(self) -> list[dict[str, Any]]:
        """The entities with a column; a virtual primary entity (`primary_entity`) has none."""
        return items_of(self.data.get("entities"))

    def entity(self, name: str, kinds: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the entity with this name, and of one of these kinds if any are given; else None."""
        for entity in self.entities:
            if name_of(entity) == name and (not kinds or text_of(entity.get("type")).lower() in kinds):
                return entity
        return None

    def dimension(self, name: str) -> dict[str, Any] | None:
        """Return a dimension of the model."""
        return next((each for each in items_of(self.data.get("dimensions")) if name_of(each) == name), None)

    @property
    def primary_entity(self) -> str:
        """The name of the primary entity; "" if there is none."""
        if named := text_of(self.data.get("primary_entity")):
            return named
        kinds = ((text_of(each.get("type")).lower(), name_of(each)) for each in self.entities)
        return next((name for kind, name in kinds if kind == "primary"), "")

    @property
    def is_partitioned(self) -> bool:
        """Whether the model has a partition; a join of two such models also compares their partitions."""
        return any(each.get("is_partition") is True for each in items_of(self.data.get("dimensions")))

    @property
    def default_time(self) -> str:
        """The time dimension by which its metrics are aggregated."""
        return text_of(mapping_of(self.data.get("defaults")).get("agg_time_dimension"))


def expression_of(item: Mapping[str, Any]) -> str:
    """Return the expression of a measure, dimension or entity; without one, its name."""
    return text_of(item.get("expr")) or name_of(item)


class Models:
    """The semantic models of one manifest whose tables are in the catalog."""

    def __init__(self, data: Mapping[str, Any], tables: Tables, knowledge: Knowledge) -> None:
        self.tables = tables
        self.knowledge = knowledge
        self.by_name: dict[str, SemanticModel] = {}
        for item in items_of(data.get("semantic_models")):
            name = name_of(item)
            relation = mapping_of(item.get("node_relation"))
            source = SourceName(*(text_of(relation.get(key)) for key in ("alias", "schema_name", "database")))
            try:
                table = tables.find(source, knowledge)
            except NotImportableError as error:
                knowledge.leave_out(f"semantic model {name}", error)
                continue
            self.by_name[name] = SemanticModel(name, table, item)

    def get(self, name: str) -> SemanticModel:
        """Return a model by name.

        Raises:
            NotImportableError: the manifest lacks the model, or the catalog lacks its table.
        """
        if name not in self.by_name:
            raise NotImportableError(f"its semantic model {name} was left out")
        return self.by_name[name]

    def next_model(
        self, model: SemanticModel, entity: str, element: Element, rest: Sequence[str]
    ) -> SemanticModel:
        """Return the model to which a filter leads through an entity of another model.

        Args:
            model: the other model.
            entity: a key of the returned model.
            element: an element of the returned model, if the path ends there.
            rest: the path from the returned model on. If it is not empty, the returned model has its first
                entity.

        Raises:
            NotImportableError: there is no such model.
        """
        for other in self.by_name.values():
            if other is model or other.entity(entity, _ONE_SIDE) is None:
                continue
            if rest and other.entity(rest[0]) is not None:
                return other
            has_element = other.entity(element.name) if element.is_entity else other.dimension(element.name)
            if not rest and has_element is not None:
                return other
        raise NotImportableError(
            f"its filter names {element.name} through {entity}, and no model has this element"
        )


@dataclass
class FromClause:
    """The FROM of one aggregate: a model's table, and the tables that its filter needs.

    Attributes:
        uses_joins: whether there are joins, so that columns need a qualifier.
        joins: the LEFT JOIN clauses, by entity, joined model and alias.
    """

    models: Models
    root: SemanticModel
    uses_joins: bool = False
    joins: dict[tuple[str, ...], str] = field(default_factory=dict)
    _names: dict[tuple[str, ...], tuple[SemanticModel, str]] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The text after FROM."""
        return " ".join([self.models.tables.display_name(self.root.table), *self.joins.values()])

    def sql_of(self, element: Element, time: str) -> str:
        """Return SQL for an element of a filter.

        Args:
            time: the dimension that `metric_time` stands for.
        """
        if element.name == "metric_time":
            element = Element(time, element.path, False, element.grain, element.date_part)
        path = self._own_path(element)
        model, qualifier = self._reach(path, element)
        item = model.entity(element.name) if element.is_entity else model.dimension(element.name)
        if item is None:
            raise NotImportableError(f"its filter names {element.name}, which {model.name} does not have")
        return element.wrap(f"{self.write(expression_of(item), model, qualifier)}")

    def write(self, expression: str, model: SemanticModel | None = None, qualifier: str = "") -> str:
        """Return an expression of a model with its columns as the catalog spells them."""
        model = model or self.root
        if not qualifier and self.uses_joins:
            qualifier = quote_identifier(self.root.table.name)
        try:
            read = read_expression(expression)
        except SqlRejectedError as error:
            raise NotImportableError(
                f"its expression {expression!r} is not a PostgreSQL expression: {error}"
            ) from error

        def sql_of(parts: tuple[str, ...]) -> str:
            if len(parts) > 2 or (len(parts) == 2 and parts[0] not in (model.name, model.table.name)):
                raise NotImportableError(f"its expression names a column of another table: {'.'.join(parts)}")
            name = quote_identifier(find_column(model.table, parts[-1]).name)
            return f"{qualifier}.{name}" if qualifier else name

        written = read.replace(sql_of)
        is_simple = len(read.columns) == 1 and read.columns[0][1:] == (0, len(read.text))
        return written if is_simple or not read.columns else f"({written})"

    def _own_path(self, element: Element) -> tuple[str, ...]:
        """Return the path; () if its only entity is the model itself."""
        if len(element.path) == 1 and element.path[0] == self.root.primary_entity:
            return ()
        if (
            len(element.path) == 1
            and self.root.entity(element.path[0], _ONE_SIDE)
            and (self.root.dimension(element.name) is not None)
        ):
            return ()
        return element.path

    def _reach(self, path: tuple[str, ...], element: Element) -> tuple[SemanticModel, str]:
        if len(path) > _MAX_HOPS:
            raise NotImportableError("its filter goes through more than three joins")
        model, qualifier = self.root, ""
        if path:
            self.uses_joins = True
            qualifier = quote_identifier(self.root.table.name)
        for number, entity in enumerate(path):
            here = path[: number + 1]
            is_last = number == len(path) - 1
            key = (*here, element.name) if is_last else here
            if key not in self._names:
                other = self.models.next_model(model, entity, element, path[number + 1 :])
                self._names[key] = self._join(model, qualifier, entity, other)
            model, qualifier = self._names[key]
        return model, qualifier

    def _join(
        self, model: SemanticModel, qualifier: str, entity: str, other: SemanticModel
    ) -> tuple[SemanticModel, str]:
        near, far = model.entity(entity), other.entity(entity, _ONE_SIDE)
        if near is None or far is None:
            raise NotImportableError(f"its filter goes through {entity}, which {model.name} does not have")
        if model.is_partitioned and other.is_partitioned:
            raise NotImportableError("its filter joins two partitioned models by their partitions")
        for joined, (known, name) in list(self._names.items()):
            if known is other and joined[:-1] == (entity,):
                return known, name
        self._remark_unproven(other, far)
        taken = {name for _, name in self._names.values()} | {quote_identifier(self.root.table.name)}
        name = quote_identifier(other.table.name)
        number = 2
        while name in taken:
            name = quote_identifier(f"{other.table.name}_{number}")
            number += 1
        alias = "" if name == quote_identifier(other.table.name) else f" AS {name}"
        one = self.write(expression_of(near), model, qualifier)
        condition = f"{one} = {self.write(expression_of(far), other, name)}"
        self.joins[(entity, other.name, name)] = (
            f"LEFT JOIN {self.models.tables.display_name(other.table)}{alias} ON {condition}"
        )
        return other, name

    def _remark_unproven(self, other: SemanticModel, entity: Mapping[str, Any]) -> None:
        """Add a remark that only the file declares this key as unique, unless the catalog proves it."""
        key = expression_of(entity)
        if is_plain_column(key) and is_unique(other.table, [find_column(other.table, key).name]):
            return
        name = self.models.tables.display_name(other.table)
        self.models.knowledge.remark(f"the file declares {key} as a key of {name}, but the catalog does not")
