"""The functions and relations of one database, and what its catalog says about calling them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from pgmcp.validation.column_values import ValueKind
from pgmcp.validation.overloads import TypeSystem
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.shipped_lists import builtin

Volatility = Literal["i", "s", "v"]

OUR_ROLE: Final = 0
"""Stands for the role of the connection among the oids of roles."""

# Functions in these languages can do nothing that the read-only transaction does not control.
_BOUND_LANGUAGES = frozenset({"sql", "plpgsql"})


class CatalogCast(NamedTuple):
    """A cast that a statement can call without naming a type that was made here.

    Attributes:
        type_name: of the type that was made here, which a value may have.
        target: the name of the type that it becomes.
        is_chosen: the server calls the cast where the statement names no type at all.

    A domain counts as one to itself: its CHECK is called where a literal becomes such a value.
    """

    type_name: str
    target: str
    is_chosen: bool

    @property
    def is_check(self) -> bool:
        """Whether it stands for the CHECK of a domain."""
        return self.type_name == self.target and not self.is_chosen


class CastColumn(NamedTuple):
    """A column whose values can be cast.

    Attributes:
        name: "" is the whole row.
        type_name: the `CatalogCast.type_name` that its values have or hold.
        kind: how its values hold it.
    """

    name: str
    type_name: str
    kind: ValueKind


class CatalogOperator(NamedTuple):
    """An operator, with the oids of its operands' types; `left` is 0 if it stands before its operand."""

    schema: str
    symbol: str
    left: int
    right: int

    def effective_types(self, argument_count: int) -> tuple[int, ...] | None:
        """Return the types of its operands."""
        return (self.left, self.right) if self.left else (self.right,)

    def takes(self, argument_count: int) -> bool:
        """Return whether it has so many operands."""
        return argument_count == (2 if self.left else 1)


@dataclass(frozen=True, slots=True)
class CatalogFunction:
    """A function of the database itself, as pg_proc shows it.

    One of pg_catalog belongs here only where an operator, cast, domain or aggregate that is not
    PostgreSQL's own calls it.

    Attributes:
        volatility: pg_proc.provolatile: immutable, stable, volatile.
        language: pg_language.lanname.
        extension: the extension it belongs to; "" if it was written for this database.
        takes_one: it can be called with one argument, and so by `(value).name`.
        takes_row: that argument can be a table's row, so that `row.name` calls it.
        operators: symbols of the operators that call it (pg_operator.oprcode).
        types: names of the types that call it when a value becomes one of them, or when one of them becomes
            something else (pg_cast.castfunc, CHECK constraints of domains).
        casts: those that call it, as far as a column can be cast by them in a statement without its type.
        row_types: those of them that are domains of rows, to which `row.name` casts.
        parts: the functions an aggregate is made of; it has no code of its own.
        definition: its whole text, if it was written for this database and is not declared volatile.
        is_unreadable: only its name is known; the role may not read the rest.
        is_body_unreadable: the role may not read its definition.
        min_arguments: how many arguments a call has at least, those with defaults left out.
        max_arguments: how many it has at most; None with VARIADIC.
        argument_types: the oids of their types, those with defaults included; None if they are not known.
        variadic_element: the type of each argument that VARIADIC gathers; 0 without it.
        search_path: the schemas that it sets itself, for what it calls: None if it sets none, an asterisk
            for any schema.
        overloads: the operators that call it, with their types; empty if these are not known.
        owner: the role with whose rights it runs if it is SECURITY DEFINER.
        owner_name: likewise its name, which is also the schema that `"$user"` means inside of the function.
        settings: names of the settings that it sets for its own duration, in lower case.
        changes_caller: one of them is the caller's role or claim, so what it reads is read as another.
        result_types: names of the types made here that its result and its OUT parameters have.
        is_written_cast: casts call it, all of them only where a statement writes them, and no CHECK does.
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

    def effective_types(self, argument_count: int) -> tuple[int, ...] | None:
        """Return the types of the arguments of a call with so many; None if they are not known."""
        if self.argument_types is None:
            return None
        if not self.variadic_element:
            return self.argument_types[:argument_count]
        fixed = self.argument_types[:-1]
        return (*fixed, *[self.variadic_element] * (argument_count - len(fixed)))[:argument_count]

    def takes(self, argument_count: int) -> bool:
        """Return whether the server can choose it for a call with so many arguments."""
        if self.is_unreadable:
            return True
        is_small_enough = self.max_arguments is None or argument_count <= self.max_arguments
        return argument_count >= self.min_arguments and is_small_enough

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
        if self.volatility == "v":
            return RefusalReason.VOLATILE
        return RefusalReason.UNREADABLE_BODY if self.is_body_unreadable else None

    def _refusal_as_part(self) -> RefusalReason | None:
        """Return the refusal, but accept internal functions: the server itself calls parts of aggregates."""
        refusal = self.refusal()
        return None if refusal is RefusalReason.INTERNAL else refusal


@dataclass(frozen=True, slots=True)
class CatalogRelation:
    """A view, a table with row policies or foreign parts: reading it does more than reading rows.

    Attributes:
        calls: schema, name and argument count of the functions in its query or policies.
        reads: schema and name of the relations in them.
        secrets: catalogs of which a secret column is read in them.
        types: names of types that values become in them.
        constant_types: names of types that constants in them have.
        cast_columns: its columns with values that can be cast.
        runs_program: a program of the database server gives its rows.
        unreadable: why it is not known what reading it calls; None where it is known.
        policy: the name of the row policy whose condition this is; "" for the relation itself.
        acts_for_us: reading it with the rights of our role does all this; a row policy may not apply to it.
        acts_for_owners: the owners of views and functions through which reading it does; None for all.
        owner: of a view that reads with its owner's rights; 0 where the reader's rights count.
        argument_types: schema, name and argument types of the functions in `calls`; None if not known.
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
    acts_for_us: bool = True
    acts_for_owners: frozenset[int] | None = None
    owner: int = 0
    constant_types: tuple[str, ...] = ()
    argument_types: frozenset[tuple[str, str, tuple[int, ...]]] | None = None

    def may_call(self, function: CatalogFunction) -> bool:
        """Return whether a function with the name of one in `calls` may be that one."""
        types = function.argument_types
        is_known = types is not None and self.argument_types is not None
        return not is_known or (function.schema, function.name, types) in (self.argument_types or ())

    def acts_for(self, role: int) -> bool:
        """Return whether reading it with the rights of a role does all this; 0 is our role."""
        if role == OUR_ROLE:
            return self.acts_for_us
        return self.acts_for_owners is None or role in self.acts_for_owners


CatalogNode = CatalogFunction | CatalogRelation


@dataclass(frozen=True, slots=True)
class ResolutionFacts:
    """What else in a catalog decides which function or operator a name means.

    Attributes:
        types: what is known of the types that arguments can have.
        functions: PostgreSQL's own functions whose names the database uses, too.
        operators: likewise its operators.
        columns: for the name of each relation that has a column called like a function: its schemas, each
            with those columns.
        result_columns: for the name of each function, such columns that the rows of every overload have.
        fields: for the oid of each type of rows, such columns that it has.
    """

    types: TypeSystem = field(default_factory=TypeSystem)
    functions: tuple[CatalogFunction, ...] = ()
    operators: tuple[CatalogOperator, ...] = ()
    columns: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    result_columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fields: Mapping[int, frozenset[str]] = field(default_factory=dict)


class ColumnCast(NamedTuple):
    """A cast of a column's values that may not be called.

    Attributes:
        column: "" is the whole row.
        kind: how the column's values contain the type that is cast.
    """

    column: str
    cast: CatalogCast
    refusal: Refusal
    kind: ValueKind
