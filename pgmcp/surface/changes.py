"""Makes the notifications for hosts: a resource, the list of resources or the list of tools has changed.

catalog read again      ─▶ changed tables        ─▶ schema://shop, schema://shop/orders, …
context file read again ─▶ the operator's tools  ─▶ the list of tools
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pgmcp.quoting import quote_identifier
from pgmcp.surface.resources import describe_tables, table_uri

if TYPE_CHECKING:
    from pgmcp.catalog.cache import CatalogChange
    from pgmcp.catalog.catalog import Catalog, Table
    from pgmcp.identity import Principal
    from pgmcp.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class ResourceUpdated:
    """The content of a resource has changed."""

    uri: str


@dataclass(frozen=True, slots=True)
class ResourcesListChanged:
    """The list of resources has changed."""


@dataclass(frozen=True, slots=True)
class ToolsListChanged:
    """The list of tools has changed."""


Event = ResourceUpdated | ResourcesListChanged | ToolsListChanged


Audience = Callable[["Principal | None"], bool]
"""Returns whether a change concerns a caller: whether the catalog of the caller's role has changed."""

Notify = Callable[[Sequence[Event], Audience], None]
"""Called with events, and with a test of which callers they concern."""


def subscribe_to_schemas(pipeline: "Pipeline", notify: Notify) -> None:
    """Call `notify` with every change that a read of a catalog finds."""
    listener = _SchemaListener(pipeline, notify)
    for name in pipeline.databases.names:
        pipeline.databases.subscribe(name, partial(listener.note_read, name))


class _SchemaListener:
    """Turns the changes found by reads of all catalogs into events."""

    def __init__(self, pipeline: "Pipeline", notify: Notify) -> None:
        self._pipeline = pipeline
        self._notify = notify
        self._listed: dict[tuple[str, str | None], list[str]] = {}

    def note_read(
        self,
        database: str,
        role: str | None,
        old: "Catalog | None",
        new: "Catalog",
        change: "CatalogChange",
    ) -> None:
        events: list[Event] = []
        if old is not None:  # hosts have seen nothing before the first read
            events += [ResourceUpdated(uri) for uri in _changed_uris(database, old, new, change)]
        listed = [resource["uri"] for resource in describe_tables(database, new)]
        if listed != self._listed.get((database, role), []):
            self._listed[database, role] = listed
            events.append(ResourcesListChanged())
        if events:
            role_of = partial(self._pipeline.databases.role_of, database)
            self._notify(events, lambda principal: role_of(principal) == role)


def _changed_uris(database: str, old: "Catalog", new: "Catalog", change: "CatalogChange") -> Iterator[str]:
    """Yield the URIs whose content has changed; a table may have one with its schema and one without."""
    names = change.added + change.dropped + change.changed
    if names:
        yield f"schema://{database}"
    for name in names:
        yield table_uri(database, name)
        table = new.find(name) or old.find(name)
        if table is not None and name != (qualified := _qualified(table)):
            yield table_uri(database, qualified)


def _qualified(table: "Table") -> str:
    return f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
