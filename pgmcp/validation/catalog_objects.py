"""Describes the functions and relations of one database, with the catalog's facts about their calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

import msgspec

from pgmcp.validation.column_values import ValueKind
from pgmcp.validation.overloads import CallShape
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.shipped_lists import builtin
from pgmcp.validation.type_system import TypeSystem

Volatility = Literal["i", "s", "v"]

CONNECTION_ROLE: Final = 0
"""Stands for the role of the connection where the OID of a role is expected."""

_decode_columns = msgspec.json.Decoder(dict[str, int]).decode

# Functions in these languages act only through SQL, which the read-only transaction controls.
_BOUND_LANGUAGES = frozenset({"sql", "plpgsql"})


class CatalogCast(NamedTuple):
    """A cast that a statement can call without naming a user-defined type.

    Attributes:
        type_name: name of the user-defined type that a value may have.
        target: name of the type that the value becomes.
        is_chosen: whether the server also calls the cast where the statement names no type.

    A domain counts as a cast to itself: its CHECK is called if a literal becomes a value of the domain.
    """

    type_name: str
    target: str
    is_chosen: bool

    @property
    def is_check(self) -> bool:
        """Whether it represents the CHECK of a domain."""
        return self.type_name == self.target and not self.is_chosen


class CastColumn(NamedTuple):
    """A column whose values can be cast.

    Attributes:
        name: the name of the column; "" for the whole row.
        type_name: the `CatalogCast.type_name` of the type that the values have or contain.
        kind: how the values contain that type.
    """

    name: str
    type_name: str
    kind: ValueKind


class CatalogOperator(NamedTuple):
    """An operator, with the OIDs of the types of its operands and its result.

    Attributes:
        left: type of the left operand; 0 for a prefix operator.
        right: type of the right operand.
        result: type of the result; 0 if it is not known.
    """

    schema: str
    symbol: str
    left: int
    right: int
    result: int = 0

    def effective_types(self, call: CallShape) -> tuple[int, ...] | None:
        """Return the types of its operands."""
        return (self.left, self.right) if self.left else (self.right,)

    def takes(self, call: CallShape) -> bool:
        """Return whether it has this number of operands."""
        return call.number == (2 if self.left else 1)


@dataclass(frozen=True, slots=True)
class CatalogFunction:
    """A function of the database itself, as pg_proc shows it.

    A function of pg_catalog is included only if a user-defined operator, cast, domain or aggregate calls it.

    Attributes:
        volatility: pg_proc.provolatile: immutable, stable, volatile.
        language: pg_language.lanname.
        security_definer: whether it runs with the rights of its owner.
        extension: the extension to which it belongs; "" if it was written for this database.
        takes_one: whether it can be called with one argument, and so by `(value).name`.
        takes_row: whether that argument can be a table's row, so that `row.name` calls it.
        operators: symbols of the operators that call it (pg_operator.oprcode).
        types: names of the types whose casts or CHECK constraints call it. A cast counts for its source and
            its target type (pg_cast.castfunc).
        casts: casts that call it and that can apply to a column although the statement does not name its
            type.
        row_types: those of `types` that are domains over rows; `row.name` may be a cast to one of them.
        parts: the functions of an aggregate, which has no code of its own.
        definition: its complete definition, if it was written for this database. "" for a volatile function
            that is longer than the policy reads.
        extension_body: the same for a function of an extension in SQL or PL/pgSQL. The extension is trusted,
            but not an object of the database that the body may call instead of one of the extension.
        is_unreadable: whether only its name is known, because the role may not read the rest.
        is_body_unreadable: whether the role may not read its definition.
        min_arguments: minimum number of arguments of a call, without those that have defaults.
        max_arguments: maximum number of arguments of a call; None with VARIADIC.
        argument_types: OIDs of the types of all arguments, with those that have defaults; None if not known.
        variadic_element: the type of each argument that VARIADIC gathers; 0 without it.
        search_path: the search path that it sets for itself; None if it sets none. An asterisk stands for
            unknown schemas.
        overloads: the operators that call it, with their types; empty if these are not known.
        owner: the role with whose rights it runs if it is SECURITY DEFINER.
        owner_name: the name of that role, which is also the schema that `"$user"` means inside the function.
        settings: names of the settings that it sets for its own duration, in lower case.
        changes_caller: whether one of `settings` is the caller's role or claim. Its body then reads as
            another caller.
        result_types: names of the user-defined types of its result and OUT parameters.
        is_written_cast: whether only explicit casts call it, and no CHECK.
        result_type: OID of the type of its result; 0 if it is not known.
        argument_names: the names of all arguments, "" for one without; empty if none has a name.
        spares_literals: whether casts call it, but never for a literal. This holds if no CHECK calls it, and
            each of the casts is explicit, or an assignment cast to a user-defined type, but none is of a type
            to itself.
        cast_targets: names of the target types of the casts that call it; empty if a CHECK calls it.
        counterparts: the functions of the negators and commutators of its operators, each with its schema,
            name and argument types. The server can call them in its place, to plan or to run a statement.
        state_types: names of the user-defined types of an aggregate's arguments and states; it makes values
            of these types.
        makes_state: whether an aggregate makes a state of any type from a text (initcond).
        stored_operators: the functions of the operators in its stored trees, which are the defaults of its
            parameters and a body in BEGIN ATOMIC or RETURN: schema, name and argument types. PostgreSQL's own
            operators are left out. None if they are not known.
    """

    schema: str
    name: str
    volatility: Volatility
    security_definer: bool = False
    language: str = "sql"
    extension: str = ""
    takes_one: bool = False
    takes_row: bool = False
    operators: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    row_types: tuple[str, ...] = ()
    parts: tuple["CatalogFunction", ...] = ()
    definition: str = ""
    extension_body: str = ""
    is_unreadable: bool = False
    is_body_unreadable: bool = False
    min_arguments: int = 0
    max_arguments: int | None = None
    casts: tuple[CatalogCast, ...] = ()
    argument_types: tuple[int, ...] | None = None
    variadic_element: int = 0
    search_path: tuple[str, ...] | None = None
    overloads: tuple[CatalogOperator, ...] = ()
    owner: int = 0
    owner_name: str = ""
    settings: tuple[str, ...] = ()
    changes_caller: bool = False
    result_types: tuple[str, ...] = ()
    is_written_cast: bool = False
    spares_literals: bool = False
    cast_targets: tuple[str, ...] = ()
    result_type: int = 0
    argument_names: tuple[str, ...] = ()
    counterparts: tuple[tuple[str, str, str], ...] = ()
    state_types: tuple[str, ...] = ()
    makes_state: bool = False
    stored_operators: tuple[tuple[str, str, str], ...] | None = None
    hidden_schemas: frozenset[str] = frozenset()

    def effective_types(self, call: CallShape) -> tuple[int, ...] | None:
        """Return the types of the arguments of a call, in the order of the call; None if not known."""
        if self.argument_types is None:
            return None
        if call.names:
            places = [*range(call.number - len(call.names)), *map(self.argument_names.index, call.names)]
            return tuple(self.argument_types[place] for place in places)
        if not self.variadic_element or call.is_variadic:
            return self.argument_types[: call.number]
        fixed = self.argument_types[:-1]
        return (*fixed, *[self.variadic_element] * (call.number - len(fixed)))[: call.number]

    def default_types(self, call: CallShape) -> list[int]:
        """Return the types of the parameters for which a call of this form gives no argument."""
        given = {*range(call.number - len(call.names)), *map(self.argument_names.index, call.names)}
        return [each for place, each in enumerate(self.argument_types or ()) if place not in given]

    def takes(self, call: CallShape) -> bool:
        """Return whether the server can choose it for a call with arguments in this form.

        With names, a function with a VARIADIC parameter takes only calls that write VARIADIC.
        """
        if self.is_unreadable or self.argument_types is None:
            return True
        is_written_out = call.is_variadic or bool(call.names)
        most = len(self.argument_types) if is_written_out else self.max_arguments
        is_small_enough = most is None or call.number <= most
        return call.number >= self.min_arguments and is_small_enough and self._takes_names(call)

    def _takes_names(self, call: CallShape) -> bool:
        """Return whether the named arguments of a call fit.

        Each must be a parameter without a positional value, and parameters without any value need defaults.
        """
        if not call.names:
            return True
        if self.variadic_element and not call.is_variadic:
            return False
        given = range(call.number - len(call.names))
        if not set(call.names) <= set(self.argument_names):
            return False
        places = {*given, *map(self.argument_names.index, call.names)}
        return len(places) == call.number and set(range(self.min_arguments)) <= places

    def refusal(self) -> RefusalReason | None:
        """Return why it may not be called, by its own declaration or the shipped list of built-ins."""
        if self.parts:
            return next((refusal for part in self.parts if (refusal := part._refusal_as_part())), None)
        if listed := builtin(self.schema, self.name):
            return listed.reason
        if self.is_unreadable:
            return RefusalReason.UNREADABLE_FUNCTION
        if self.changes_caller:
            return RefusalReason.CALLER
        if self.security_definer:
            return RefusalReason.SECURITY_DEFINER
        if not self.extension and self.language not in _BOUND_LANGUAGES:
            return RefusalReason.LANGUAGE
        if self.volatility == "v" and not self.definition:
            return RefusalReason.VOLATILE
        return RefusalReason.UNREADABLE_BODY if self.is_body_unreadable else None

    def _refusal_as_part(self) -> RefusalReason | None:
        """Return the refusal, but accept internal functions: the server itself calls parts of aggregates.

        The call graph judges volatile parts, because a part has no definition here.
        """
        refusal = self.refusal()
        is_judged_elsewhere = refusal is RefusalReason.VOLATILE and not self.extension
        return None if is_judged_elsewhere or refusal is RefusalReason.INTERNAL else refusal

    @property
    def display_name(self) -> str:
        """Its name in the form of the setting PG_MCP_SERVER_ALLOWED_FUNCTIONS."""
        return self.name if self.schema == "pg_catalog" else f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class CatalogRelation:
    """A relation that does more than return stored rows, or whose columns can be cast.

    One object describes a view, one row policy of a table, what the server evaluates while it plans a read of
    a table, a foreign table that runs a program (or a parent of such a table), or any relation with columns
    that can be cast.

    Attributes:
        calls: schema, name and argument count of the functions in its query or policy.
        reads: schema and name of the relations in its query or policy.
        secrets: catalogs with a secret column that its query or policy reads.
        types: names of the types to which its query or policy casts.
        constant_types: names of the types of constants in its query or policy.
        cast_columns: its columns with values that can be cast.
        runs_program: whether a program on the database server produces its rows, or those of a partition or
            child.
        unreadable: why its calls are not known; None if they are known.
        policy: the name of the row policy whose condition this is; "" for the relation itself.
        acts_for_connection: whether a read with the role of the connection makes these calls and reads; False
            for a row policy that does not apply to the role.
        acts_for_owners: the owners of views and functions with whose rights a read makes these calls and
            reads; None for all.
        owner: the owner, for a view that reads with its owner's privileges; 0 if the reader's privileges
            count.
        argument_types: schema, name and argument types of the functions in `calls`; None if not known.
        locks_rows: whether its query or policy has FOR UPDATE, FOR SHARE or the like.
        is_planned: whether this describes a table's index expressions, CHECK constraints and the like. The
            server evaluates constant parts of these while it plans a read.
    """

    schema: str
    name: str
    calls: tuple[tuple[str, str, int], ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    runs_program: bool = False
    unreadable: RefusalReason | None = None
    secrets: tuple[str, ...] = ()
    cast_columns: tuple[CastColumn, ...] = ()
    policy: str = ""
    acts_for_connection: bool = True
    acts_for_owners: frozenset[int] | None = None
    owner: int = 0
    constant_types: tuple[str, ...] = ()
    argument_types: frozenset[tuple[str, str, tuple[int, ...]]] | None = None
    locks_rows: bool = False
    is_planned: bool = False

    def may_call(self, function: CatalogFunction) -> bool:
        """Return whether a function whose name is in `calls` may be the one that is called."""
        types = function.argument_types
        is_known = types is not None and self.argument_types is not None
        return not is_known or (function.schema, function.name, types) in (self.argument_types or ())

    def acts_for(self, role: int) -> bool:
        """Return whether a read with a role's privileges makes these calls and reads.

        Args:
            role: the OID of an owner, or `CONNECTION_ROLE`.
        """
        if role == CONNECTION_ROLE:
            return self.acts_for_connection
        return self.acts_for_owners is None or role in self.acts_for_owners


CatalogNode = CatalogFunction | CatalogRelation


def is_of_extension(node: CatalogNode) -> bool:
    """Return whether a node is a function of an extension."""
    return isinstance(node, CatalogFunction) and bool(node.extension)


def acts_for_reader(node: CatalogNode, reader: int) -> bool:
    """Return whether a node makes its calls and reads for a role; only a relation may not."""
    return isinstance(node, CatalogFunction) or node.acts_for(reader)


class RelationRows:
    """The row type of one relation, with its columns.

    Attributes:
        type_oid: the OID of the row type.
    """

    def __init__(self, type_oid: int, columns: bytes | msgspec.Raw) -> None:
        """Keep the columns as JSON until they are needed: most statements use only a few relations.

        Args:
            type_oid: the OID of the row type.
            columns: an object in JSON, with the OID of each column's type by the column's name.
        """
        self.type_oid = type_oid
        self._columns = columns

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """The types of its columns by name."""
        return _decode_columns(self._columns)


@dataclass(frozen=True, slots=True)
class ResolutionFacts:
    """Further facts of a catalog that decide which function or operator a name means.

    Attributes:
        types: the known types of arguments, and their casts.
        functions: PostgreSQL's own functions with a name that the database's functions also have, or with
            overloads that have results of several types or of a polymorphic type.
        operators: PostgreSQL's own operators with a symbol that the database's operators also have, or with
            results of several types; and `=`.
        columns: the columns that have the name of a function, by the relation's name, then by its schema.
        result_columns: by the name of a function that returns rows, the columns that the rows of all its
            overloads have. Only columns with the name of a function are included.
        fields: the columns of a row type that have the name of a function, by the type's OID.
        rows: the rows of each relation: by the relation's name, then by its schema; empty if they have not
            been read. Composite types count as relations.
        rows_by_type: the same rows, by the OID of their type.
        outputs: for the name of each function, the OUT parameters of each overload that has some: name and
            type, in order.
        hidden_schemas: the schemas that the role of the connection may not use.
        hidden_on_path: those of them that the role's search path names; all if this is not known.
    """

    types: TypeSystem = field(default_factory=TypeSystem)
    functions: tuple[CatalogFunction, ...] = ()
    operators: tuple[CatalogOperator, ...] = ()
    columns: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    result_columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fields: Mapping[int, frozenset[str]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, RelationRows]] = field(default_factory=dict)
    rows_by_type: Mapping[int, RelationRows] = field(default_factory=dict)
    outputs: Mapping[str, Sequence[Sequence[tuple[str, int]]]] = field(default_factory=dict)
    hidden_schemas: frozenset[str] = frozenset()
    hidden_on_path: frozenset[str] = frozenset()


class ColumnCast(NamedTuple):
    """A cast of a column's values that may not be called.

    Attributes:
        column: the name of the column, or of a function's result (`result_of`); "" for a whole row, and for
            any other value.
        cast: the cast.
        refusal: why it may not be called.
        kind: how the column's values contain the type that is cast.
    """

    column: str
    cast: CatalogCast
    refusal: Refusal
    kind: ValueKind
