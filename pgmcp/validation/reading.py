"""Whether everything below the root only reads: each node, relation, call and operator of the tree."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NoReturn

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.argument_types import ArgumentTypes
from pgmcp.validation.column_values import NONE, ValueKind, names_of_columns
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.domain_literals import LiteralsOfDomains
from pgmcp.validation.explicit_casts import ExplicitCasts
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.grammar import Node, character_offset
from pgmcp.validation.implicit_casts import ImplicitCasts
from pgmcp.validation.lexer import tokenize
from pgmcp.validation.overloads import CallArguments
from pgmcp.validation.reach import ColumnCast, Refusal
from pgmcp.validation.refusal_reasons import (
    ALLOW_HINT,
    HINT_BY_REASON,
    TEXT_BY_REASON,
    UNREADABLE,
    RefusalReason,
)
from pgmcp.validation.relations import secret_relation_refusal
from pgmcp.validation.roots import SECRET_SETTINGS, describe
from pgmcp.validation.scopes import with_references
from pgmcp.validation.secret_columns import find_secret_use, has_secret_column

# The raw parse nodes (src/include/nodes/parsenodes.h) that a read can be made of, as far as the tree names
# them: a field that holds one kind of node only does not. What is not here is refused, nodes of later
# grammars included.
NODES_OF_A_READ = frozenset(
    """
    SelectStmt VariableShowStmt CommonTableExpr
    ResTarget ColumnRef A_Star A_Const A_Expr A_Indices A_Indirection A_ArrayExpr
    BoolExpr NullTest BooleanTest SubLink CaseExpr CaseWhen CoalesceExpr MinMaxExpr RowExpr
    TypeCast CollateClause FuncCall NamedArgExpr SQLValueFunction GroupingFunc GroupingSet
    XmlExpr XmlSerialize
    RangeVar RangeSubselect RangeFunction RangeTableFunc RangeTableFuncCol RangeTableSample JoinExpr
    WindowDef SortBy ColumnDef List String Integer
    JsonValueExpr JsonKeyValue JsonObjectConstructor JsonArrayConstructor
    JsonArrayQueryConstructor JsonObjectAgg JsonArrayAgg JsonIsPredicate JsonParseExpr
    JsonScalarExpr JsonSerializeExpr JsonFuncExpr JsonTable JsonTableColumn
    JsonArgument
    """.split()  # noqa: SIM905 - fifty names in a column help nobody
)

_CHANGING_NODES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})

_KINDS_WITH_ARRAYS = frozenset({"AEXPR_OP_ANY", "AEXPR_OP_ALL"})
"""Expressions whose operator takes the elements of the array on the right."""

_TAKES_TYPE_AS_TEXT = frozenset({"pg_input_is_valid", "pg_input_error_info"})
"""Functions that try to make a value of a type by its name."""

_MAKES_ROWS = frozenset(
    {"json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset"}
    | {"jsonb_populate_record_valid", "populate_record"}
)
"""Functions that make rows of the type of their first argument."""


_IMPLICIT_CAST_HINT = (
    "select it as it is, sort, group or count by it, or test it for NULL, without set operations, NATURAL, "
    f"USING and new names for columns; {ALLOW_HINT}"
)
_CHECK_HINT = f"cast the literal beside it to a built-in type; {ALLOW_HINT}"
_EXPLICIT_CAST_HINT = f"use it without this cast: show it, or compare it with a literal; {ALLOW_HINT}"

SAMPLING_METHODS = frozenset({"bernoulli", "system", "system_rows", "system_time"})


class ReadingCheck:
    """Walks one tree, collects the relations it names, and refuses what does more than read.

    Attributes:
        depends_on_literals: a check looked at the value of a literal. Every check that does must set it.
    """

    def __init__(self, sql: str, functions: FunctionPolicy) -> None:
        self._sql = sql
        self._functions = functions
        self.depends_on_literals = False
        self._mentions: list[tuple[int, str]] = []  # byte offset, relation
        self._with_names: set[str] = set()
        self._with_references: set[int] = set()
        self._qualified_columns: list[tuple[str, str, Node]] = []  # qualifier, column, its node
        self._relations_with_secrets: list[Node] = []
        self._column_casts: list[ColumnCast] = []  # of the relations that it reads
        self._root: Node = {}
        self._types: ArgumentTypes | None = None
        self._function_names: set[str] = set()  # of functions in FROM, by which their rows are called
        self._has_nameless_function = False
        self._types_of_casts: set[int] = set()  # id() of the types that CAST names
        self._cast_types: set[str] = set()  # types that values are made of, and can be cast from explicitly

    @property
    def tables(self) -> tuple[str, ...]:
        """Relations as written, first mention first, without the names of the statement's own WITH."""
        names = dict.fromkeys(name for _, name in sorted(self._mentions))
        return tuple(name for name in names if name not in self._with_names)

    def walk(self, root: Node) -> None:
        """Look at every node under `root`, itself included.

        Raises:
            SqlRejectedError: at the first that is more than a read.
        """
        if "with" in self._sql.lower():
            self._with_references = with_references(root)
        self._root = root
        pending: list[Any] = [root]
        while pending:
            value = pending.pop()
            if type(value) is list:
                pending.extend(reversed(value))
            else:
                self._check_fields(value, pending)
        self._check_qualified_columns()
        self._check_secret_columns(root)
        if self._column_casts:
            self._check_column_casts(root)

    def _check_fields(self, fields: Node, pending: list[Any]) -> None:
        """Check one node, and add the nodes and lists in its fields to those that are pending."""
        below = []
        for name, value in fields.items():
            if check := _CHECK_BY_FIELD.get(name):
                check(self, value, fields)
            elif name < "a" and name not in NODES_OF_A_READ:  # a capital begins the name of a node
                self._refuse_node(name, value)
            kind = type(value)
            if kind is dict or kind is list:
                below.append(value)
        if below:
            below.reverse()
            pending += below

    def _note_with_name(self, name: str, _: Node) -> None:
        self._with_names.add(name)

    def _check_call(self, names: list[Node], fields: Node) -> None:
        *schemas, name = _strings(names)
        arguments = fields.get("args", [])
        argument_count = len(arguments)
        if "agg_within_group" in fields:  # what it sorts by are arguments, too
            argument_count += len(fields["agg_order"])
        known = partial(self._call_arguments, arguments, fields)
        if refusal := self._functions.refusal(".".join(schemas), name, argument_count, known):
            self._refuse_call(".".join((*schemas, name)), refusal, fields)
        if name == "current_setting":
            self._check_setting(arguments, fields)
        if name in _MAKES_ROWS and not (arguments and "TypeCast" in arguments[0]):
            self._check_rows_made_of(name, fields)
        if name in _TAKES_TYPE_AS_TEXT:
            self._check_type_text(arguments, fields)

    def _call_arguments(self, arguments: list[Node], fields: Node) -> CallArguments:
        """Return what is known of the arguments of a call."""
        written = arguments
        if "agg_within_group" in fields:
            written = arguments + [each["SortBy"]["node"] for each in fields["agg_order"]]
        is_positional = "func_variadic" not in fields and not any("NamedArgExpr" in each for each in written)
        return self._known_arguments(written, is_positional=is_positional)

    def _known_arguments(self, written: list[Node], *, is_positional: bool = True) -> CallArguments:
        if self._types is None:
            self._types = self._functions.argument_types(self._root)
        types = [self._types.of(each) for each in written] if is_positional else []
        return CallArguments(len(written), types, is_positional)

    def _operands(self, left: Node | None, right: Node | None) -> CallArguments:
        """Return what is known of the operands of an operator; None stands for one of any type."""
        known = self._known_arguments([each for each in (left, right) if each is not None])
        types = iter(known.types)
        return CallArguments(2, [None if each is None else next(types) for each in (left, right)])

    def _check_rows_made_of(self, what: str, fields: Node) -> None:
        """Refuse to make rows of a type that is not written where any domain or cast is refused."""
        if refusal := self._functions.type_text_refusal(None):
            self._refuse_use("a row made by", what, refusal, fields)

    def _check_type_text(self, arguments: list[Node], fields: Node) -> None:
        self.depends_on_literals = True
        is_named = any("NamedArgExpr" in argument for argument in arguments)
        text = _constant(arguments[1]) if len(arguments) > 1 and not is_named else ""
        if refusal := self._functions.type_text_refusal(text or None):
            self._refuse_use("a cast to type", text or "whose name is put together", refusal, fields)

    def _check_setting(self, arguments: list[Node], fields: Node) -> None:
        self.depends_on_literals = True
        for setting in map(_constant, arguments):
            if setting in SECRET_SETTINGS:
                message = f"the setting {setting} may hold a password"
                self._refuse(message, fields, offending=setting, hint="leave it out")

    def _check_relation(self, name: str, fields: Node) -> None:
        schema = fields.get("schemaname", "")
        self._mentions.append((fields.get("location", 0), f"{schema}.{name}" if schema else name))
        if id(fields) in self._with_references:
            return
        if has_secret_column(schema, name):
            self._relations_with_secrets.append(fields)
            self.depends_on_literals = True  # a condition on them may leave out the secrets
        elif secret := secret_relation_refusal(schema, name):
            message, hint = secret
            self._refuse(message, fields, offending=name, hint=hint)
        if refusal := self._functions.relation_refusal(schema, name):
            way = f"through the row policy {refusal.policy}" if refusal.policy else "through it"
            through = "" if refusal.culprit == name else f"{way}, {refusal.culprit} is refused: "
            message = f"{name} is not readable here: {through}{TEXT_BY_REASON[refusal.reason]}"
            self._refuse(message, fields, offending=name, hint=_hint_for_relation(refusal))
        self._column_casts += self._functions.column_casts(schema, name)

    def _check_column_casts(self, root: Node) -> None:
        """Refuse a statement that may call a cast of a column's type which may not be called."""
        surroundings = self._functions.surroundings
        chosen = [each for each in self._column_casts if each.cast.is_chosen]
        checked = [each for each in self._column_casts if each.cast.is_check]
        named = [each for each in self._column_casts if not (each.cast.is_chosen or each.cast.is_check)]
        for casts in _by_targets(chosen):
            columns, targets = {each.column for each in casts}, {each.cast.target for each in casts}
            if place := ImplicitCasts(root, columns, targets, surroundings).first():
                self._refuse_cast(casts, place, hint=_IMPLICIT_CAST_HINT)
        for casts in _by_targets(named):
            kinds, targets = _kinds_by_column(casts), {each.cast.target for each in casts}
            types = {each.cast.type_name for each in casts if not each.column} & self._cast_types
            if place := ExplicitCasts(root, kinds, targets, surroundings, types=types).first():
                self._refuse_cast(casts, place, hint=_EXPLICIT_CAST_HINT)
        domains = {each.cast.type_name for each in checked}
        literals = LiteralsOfDomains(
            root, _kinds_by_column(checked), surroundings, are_several=len(domains) > 1
        )
        if checked:
            self.depends_on_literals = True
            if place := literals.first():
                self._refuse_cast(checked, place, hint=_CHECK_HINT)

    def _refuse_cast(self, casts: list[ColumnCast], place: Node, *, hint: str) -> NoReturn:
        mentioned = names_of_columns(place)
        found = next((each for each in casts if each.column in mentioned), casts[0])
        what = "CHECK" if found.cast.is_check else "cast"
        subject = f"column {found.column}" if found.column else f"a value of type {found.cast.type_name}"
        message = (
            f"{subject} may be cast here: through a {what} of its type, "
            f"{found.refusal.culprit} is refused: {TEXT_BY_REASON[found.refusal.reason]}"
        )
        self._refuse(message, place, offending=found.column or found.cast.type_name, hint=hint)

    def _check_column(self, names: list[Node], fields: Node) -> None:
        if len(names) > 1 and (name := _field_name(names[-1])):
            self._qualified_columns.append((_field_name(names[-2]), name, fields))

    def _note_function_in_from(self, functions: list[Node], fields: Node) -> None:
        if alias := fields.get("alias"):
            self._function_names.add(alias["aliasname"])
            return
        for function in functions:
            names = function["List"]["items"][0].get("FuncCall", {}).get("funcname")
            if names:
                self._function_names.add(_strings(names)[-1])
            else:  # COALESCE(...), CAST(...) and the like
                self._has_nameless_function = True

    def _check_qualified_columns(self) -> None:
        """Refuse `name.column` where no column but a refused function may have that name.

        The rows of a function in FROM can be plain values, of which more functions can be called.
        """
        columns: KnownColumns | None = None
        for qualifier, name, fields in self._qualified_columns:
            if self._has_nameless_function or qualifier in self._function_names:
                refusal = self._functions.value_function_refusal(name)
            else:
                refusal = self._functions.row_function_refusal(name)
            if refusal:
                columns = columns or self._functions.known_columns(self._root, self._with_references)
                if not columns.has(qualifier, name):
                    self._refuse_call(name, refusal, fields)

    def _check_secret_columns(self, root: Node) -> None:
        if not self._relations_with_secrets:
            return
        is_own = not self._functions.compares_names_itself()
        if found := find_secret_use(
            root,
            self._relations_with_secrets,
            trusts_conditions=is_own,
            trusts_type_names=not self._functions.surroundings.puts_schemas_first,
        ):
            relation, column, offending, fields, shows_samples = found
            shows = "it" if offending == column else f"{offending} may show it; it"
            message = f"the column {column} of {relation} is not readable here: {shows} may hold passwords"
            hint = f"name the columns you need, one by one, without {column}"
            if shows_samples:
                hint += "; or add a condition such as schemaname = 'public' or tablename = 'orders'"
            self._refuse(message, fields, offending=offending, hint=hint)

    def _check_indirection(self, steps: list[Node], fields: Node) -> None:
        for name in map(_field_name, steps):
            if refusal := self._functions.value_function_refusal(name):
                self._refuse_call(name, refusal, fields)
            if name == "current_setting":
                self._check_setting([fields["arg"]], fields)

    def _check_name(self, name: str | list[Node], fields: Node) -> None:
        if isinstance(name, list):  # else of a window, a column or an argument
            self._check_operator(name, fields)

    def _check_operator(self, names: list[Node], fields: Node) -> None:
        *schemas, symbol = _strings(names)
        if symbol == "#=" and "TypeCast" not in fields.get("lexpr", {}):  # hstore's populate_record()
            self._check_rows_made_of(symbol, fields)
        for operands in self._operands_of(fields) if "rexpr" in fields else [None]:
            if refusal := self._functions.operator_refusal(".".join(schemas), symbol, operands):
                self._refuse_use("operator", ".".join((*schemas, symbol)), refusal, fields)

    def _operands_of(self, expression: Node) -> Iterator[Callable[[], CallArguments]]:
        """Give what returns the operands of each call of an expression's operator."""
        if "lexpr" not in expression:
            yield partial(self._known_arguments, [expression["rexpr"]])
        elif expression.get("kind") in _KINDS_WITH_ARRAYS:
            yield partial(self._operands, expression["lexpr"], None)
        else:
            for left, right in _pairs(expression["lexpr"], expression["rexpr"]):
                yield partial(self._operands, left, right)

    def _check_case(self, case: Node, _: Node) -> None:
        if "arg" in case:
            # A literal is text there, not of a type that is still open.
            arg = None if "A_Const" in case["arg"] else case["arg"]
            pairs = [(arg, when["CaseWhen"]["expr"]) for when in case["args"]]
            self._check_unwritten_operators("=", case, pairs)

    def _check_join(self, join: Node, _: Node) -> None:
        if join.get("isNatural"):
            self._check_unwritten_operators("=", join, [(None, None)])
        columns = [{"ColumnRef": {"fields": [name]}} for name in join.get("usingClause", ())]
        # What several joins have merged is of the one type that all columns of the name have.
        known = [each if len(self._known_arguments([each]).types[0] or ()) == 1 else None for each in columns]
        self._check_unwritten_operators("=", join, [(each, each) for each in known])

    def _check_sublink(self, link: Node, _: Node) -> None:
        if link.get("subLinkType") == "ANY_SUBLINK" and "operName" not in link:  # IN
            tested = link["testexpr"].get("RowExpr", {}).get("args", [link["testexpr"]])
            self._check_unwritten_operators("=", link, [(each, None) for each in tested])

    def _check_between(self, expression: Node, _: Node) -> None:
        if "BETWEEN" in expression.get("kind", ""):
            pairs = _pairs(expression["lexpr"], expression["rexpr"])
            self._check_unwritten_operators("< <= > >=", expression, pairs)

    def _check_unwritten_operators(
        self, symbols: str, fields: Node, pairs: Sequence[tuple[Node | None, Node | None]]
    ) -> None:
        """Check operators that the server's parser puts in; a database may have its own by these symbols."""
        for symbol in symbols.split():
            for left, right in pairs:
                if refusal := self._functions.operator_refusal(
                    "", symbol, partial(self._operands, left, right)
                ):
                    self._refuse_use("operator", symbol, refusal, fields)

    def _check_type(self, names: list[Node], fields: Node) -> None:
        name = _strings(names)[-1]
        is_of_cast = id(fields) in self._types_of_casts
        if is_of_cast and (casts := self._functions.written_casts(name)):
            self._column_casts += casts  # a literal is no value of a column, but followed as one
            self._cast_types.add(name)
        elif refusal := self._functions.type_refusal(name):
            self._refuse_use("a cast to type", name, refusal, fields)

    def _note_cast(self, cast: Node, _: Node) -> None:
        self._types_of_casts.add(id(cast["typeName"]))

    def _check_sampling(self, names: list[Node], fields: Node) -> None:
        *schemas, name = _strings(names)  # extensions bring two of them, in any schema
        if name not in SAMPLING_METHODS:
            method = ".".join((*schemas, name))
            hint = f"methods: {', '.join(sorted(SAMPLING_METHODS))}"
            self._refuse(f"sampling method {method} is not known", fields, offending=method, hint=hint)

    def _refuse_call(self, name: str, reason: RefusalReason, fields: Node) -> NoReturn:
        message = f"function {name}() is not allowed: {TEXT_BY_REASON[reason]}"
        self._refuse(message, fields, offending=name, hint=HINT_BY_REASON[reason])

    def _refuse_use(self, what: str, name: str, reason: RefusalReason, fields: Node) -> NoReturn:
        message = f"{what} {name} is not allowed: {TEXT_BY_REASON[reason]}"
        hint = "use a built-in type or function, or OPERATOR(pg_catalog.…) for a built-in operator"
        self._refuse(message, fields, offending=name, hint=hint)

    def _refuse_into(self, into: Node, _: Node) -> NoReturn:
        hint = "write the SELECT without INTO; the rows come back as the result"
        self._refuse("SELECT ... INTO creates a table", into["rel"], offending="INTO", hint=hint)

    def _refuse_locking(self, *_: Any) -> NoReturn:
        raise SqlRejectedError(
            "FOR UPDATE, FOR SHARE and the like lock rows",
            hint="write the SELECT without the locking clause",
            offending="FOR",
            position=_locking_clause_offset(self._sql),
        )

    def _refuse_node(self, name: str, fields: Node) -> NoReturn:
        words = describe(name)
        message = (
            f"{words} inside WITH changes data"
            if name in _CHANGING_NODES
            else f"{words} is not part of a read"
        )
        self._refuse(
            message, fields.get("relation", fields), offending=words, hint="write a SELECT in its place"
        )

    def _refuse(self, message: str, fields: Node, *, offending: str, hint: str) -> NoReturn:
        location = fields.get("location", -1)
        position = character_offset(self._sql, location) if location >= 0 else None
        raise SqlRejectedError(message, hint=hint, offending=offending, position=position)


# Checks hang on fields, not on the names of nodes: where the grammar
# allows one kind of node only, its fields stand in the parent unnamed.
_CHECK_BY_FIELD: Final[dict[str, Callable[[ReadingCheck, Any, Node], None]]] = {
    "A_Expr": ReadingCheck._check_between,
    "CaseExpr": ReadingCheck._check_case,
    "JoinExpr": ReadingCheck._check_join,
    "SubLink": ReadingCheck._check_sublink,
    "TypeCast": ReadingCheck._note_cast,
    "ctename": ReadingCheck._note_with_name,
    "fields": ReadingCheck._check_column,
    "funcname": ReadingCheck._check_call,
    "functions": ReadingCheck._note_function_in_from,
    "indirection": ReadingCheck._check_indirection,
    "intoClause": ReadingCheck._refuse_into,
    "lockingClause": ReadingCheck._refuse_locking,
    "method": ReadingCheck._check_sampling,
    "name": ReadingCheck._check_name,
    "names": ReadingCheck._check_type,
    "operName": ReadingCheck._check_operator,
    "relname": ReadingCheck._check_relation,
    "useOp": ReadingCheck._check_operator,
}


def _hint_for_relation(refusal: Refusal) -> str:
    """Return what a reader or an operator can do about a relation that is refused."""
    if refusal.reason in UNREADABLE:
        hint = HINT_BY_REASON[refusal.reason].removesuffix(f"; {ALLOW_HINT}")
    else:
        hint = "" if refusal.policy else "read the tables behind it"
    if refusal.allowable:
        trusted = "the policy" if refusal.policy else "it"
        allow = (
            f"an operator who trusts {trusted} adds {refusal.allowable} "
            "to PG_MCP_SERVER_ALLOWED_FUNCTIONS once"
        )
        hint = f"{hint}; {allow}" if hint else allow
    return hint or "an administrator changes the policy so that it does not use this"


def _by_targets(casts: list[ColumnCast]) -> list[list[ColumnCast]]:
    """Return the casts of columns, or of values of a type, that can become the same types."""
    by_subject: dict[tuple[str, str], list[ColumnCast]] = {}
    for each in casts:
        type_name = "" if each.column else each.cast.type_name
        by_subject.setdefault((each.column, type_name), []).append(each)
    groups: dict[frozenset[str], list[ColumnCast]] = {}
    for found in by_subject.values():
        groups.setdefault(frozenset(each.cast.target for each in found), []).extend(found)
    return list(groups.values())


def _kinds_by_column(casts: list[ColumnCast]) -> dict[str, ValueKind]:
    kinds: dict[str, ValueKind] = {}
    for cast in casts:
        kinds[cast.column] = kinds.get(cast.column, NONE) | cast.kind
    return kinds


def _pairs(left: Node, right: Node) -> list[tuple[Node | None, Node | None]]:
    """Return the operands of each call for a comparison: of a list one by one, of rows field by field."""
    items = right.get("List", {}).get("items", [right])
    # The elements of a list get one type, which may be that of the left side.
    pairs: list[tuple[Node | None, Node | None]] = [(left, left)] if len(items) > 1 else []
    for each in items:
        sides = [side.get("RowExpr", {}).get("args") for side in (left, each)]
        if sides[0] and sides[1] and len(sides[0]) == len(sides[1]):
            pairs += zip(*sides, strict=True)
        else:
            pairs.append((left, each))
    return pairs


def _strings(names: list[Node]) -> list[str]:
    return [name["String"]["sval"] for name in names]


def _field_name(step: Node) -> str:
    """Return the name in a column reference or behind brackets; "" for a star or a subscript."""
    return str(step.get("String", {}).get("sval", ""))


def _constant(argument: Node) -> str:
    """Return an argument in lower case if it is a string constant, cast, named or neither; else ""."""
    ((kind, fields),) = argument.items()
    if kind in ("TypeCast", "NamedArgExpr"):
        return _constant(fields["arg"])
    return str(fields.get("sval", {}).get("sval", "")).lower() if kind == "A_Const" else ""


def _locking_clause_offset(sql: str) -> int | None:
    """Return where FOR UPDATE and its kin begin; the tree does not say."""
    previous_word, start = "", 0
    for token in tokenize(sql):
        word = token.text.lower()
        if previous_word == "for" and word in ("update", "no", "share", "key"):
            return start
        previous_word, start = word, token.start
    return None
