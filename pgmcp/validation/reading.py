"""Checks that everything in a statement only reads: each node, relation, call and operator of its tree."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.argument_types import ArgumentTypes
from pgmcp.validation.body_statement import (
    CALLS_BY_JSON_NODE,
    MAKES_ROWS,
    TAKES_TYPE_AS_TEXT,
    call_on_older_servers,
    written_type,
)
from pgmcp.validation.catalog_objects import ColumnCast
from pgmcp.validation.explicit_casts import is_untyped_literal
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.functions_in_from import unnests_of_several
from pgmcp.validation.grammar import Node, constant_text, name_of, strings
from pgmcp.validation.lexer import tokenize
from pgmcp.validation.name_lookup import PG_CATALOG
from pgmcp.validation.operands import (
    Operands,
    operand_pairs,
    operands_of,
    operands_of_case,
    operands_of_in,
    operands_of_sort,
    sort_items,
)
from pgmcp.validation.overloads import CallArguments
from pgmcp.validation.qualified_names import QualifiedNames
from pgmcp.validation.refusal_reasons import TEXT_BY_REASON, RefusalReason
from pgmcp.validation.refused_casts import find_refused_cast
from pgmcp.validation.scopes import with_references
from pgmcp.validation.secret_columns import find_secret_use, has_secret_column
from pgmcp.validation.secret_relations import secret_relation_refusal
from pgmcp.validation.sql_texts import written_texts
from pgmcp.validation.statement_kind import (
    NODES_OF_A_READ,
    SAMPLING_METHODS,
    SECRET_SETTINGS,
    StatementRefusals,
    ValidatedStatement,
)
from pgmcp.validation.uncertain_calls import Explanation

_WRITTEN_KINDS: Final = frozenset({"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL"})
"""Kinds of A_Expr that can be written with OPERATOR(…)."""


class ReadingCheck(StatementRefusals):
    """Walks one tree, collects the relations that it names, and refuses nodes that do more than read.

    Attributes:
        depends_on_literals: whether a check used the value of a literal; every check that does must set this.
    """

    def __init__(
        self,
        sql: str,
        functions: FunctionPolicy,
        validate_text: Callable[[str], ValidatedStatement] | None = None,
    ) -> None:
        """Prepare the check of one statement.

        Args:
            sql: the statement.
            functions: decides which functions, operators and types it may use.
            validate_text: checks a SQL text that a function would run; None if the statement is such a text.
        """
        super().__init__(sql)
        self._functions = functions
        self._validate_text = validate_text
        self._tables_of_texts: list[str] = []
        self.depends_on_literals = False
        self._named_relations: list[tuple[int, str]] = []  # byte offset, relation
        self._with_names: set[str] = set()
        self._with_references: set[int] = set()
        self._qualified_names = QualifiedNames()
        self._relations_with_secrets: list[Node] = []
        self._column_casts: list[ColumnCast] = []  # refused casts of columns, results and types in the tree
        self._root: Node = {}
        self._types: ArgumentTypes | None = None
        self._sorted: dict[int, Node] = {}  # by id() of an item of ORDER BY: the query that it sorts
        self._types_of_casts: dict[int, bool] = {}  # by id() of a type in a cast: whether it casts a literal
        self._cast_types: dict[str, set[str]] = {}  # see `find_refused_cast`
        self._built_in_calls: set[int] = set()  # id() of each FuncCall that calls PostgreSQL's own function

    @property
    def tables(self) -> tuple[str, ...]:
        """The relations as written, in the order of first mention, without the statement's WITH queries.

        Those in SQL texts come last.
        """
        names = (name for _, name in sorted(self._named_relations) if name not in self._with_names)
        return tuple(dict.fromkeys([*names, *self._tables_of_texts]))

    def walk(self, root: Node) -> None:
        """Check `root` and every node below it.

        Raises:
            SqlRejectedError: a node does more than read, may call a function that does, or may show a secret.
        """
        self._check_spelling()
        if "with" in self._sql.lower():
            self._with_references = with_references(root)
        self._root = root
        self._check_nodes(root)
        if call := self._qualified_names.first_refused_call(
            self._functions, root, self._with_references, self._operand_types
        ):
            explanation = self._functions.uncertain_calls.of_field(call.row, call.name)
            self._refuse_call(call.name, call.reason, call.fields, explanation)
        self._check_secret_columns(root)
        for name in self._qualified_names.after_values():
            self._column_casts += self._functions.casts_of_made_value(name)
        if self._column_casts:
            self._check_column_casts(root)

    def _check_spelling(self) -> None:
        """Refuse names that the server may read differently from pgmcp."""
        if misread := self._functions.name_reading.first_misread(tokenize(self._sql)):
            message = f"the database's encoding may turn the name {misread.text} into another one"
            raise SqlRejectedError(
                message,
                hint="write it in quotes, at most 63 bytes long in UTF-8, and without Unicode escapes",
                offending=misread.text,
                position=misread.start,
            )

    def _check_nodes(self, root: Node) -> None:
        """Check every field of every node, in the order of the tree."""
        pending: list[Any] = [root]
        while pending:
            fields = pending.pop()
            if type(fields) is list:
                pending.extend(reversed(fields))
                continue
            below = []
            for name, value in fields.items():
                if check := _CHECK_BY_FIELD.get(name):
                    check(self, value, fields)
                elif name < "a" and name not in NODES_OF_A_READ:  # names of nodes begin with a capital
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
        *schemas, name = strings(names)
        if id(fields) in self._built_in_calls:
            schemas = [PG_CATALOG]
        arguments = fields.get("args", [])
        argument_count = len(arguments)
        if "agg_within_group" in fields:  # WITHIN GROUP (ORDER BY …) passes arguments, too
            argument_count += len(fields["agg_order"])
        self._check_call_on_older_servers(call_on_older_servers("", fields), fields)
        known = partial(self._argument_types_of_call, fields)
        refusal = self._functions.refusal(".".join(schemas), name, argument_count, known)
        if refusal is RefusalReason.SQL_TEXT and self._runs_checked_texts(names, fields, known):
            refusal = None
        if refusal:
            explain = self._functions.uncertain_calls.of_function
            is_denied = refusal is RefusalReason.DENIED
            of_call = self._argument_types_of_call
            explanation = None if is_denied else explain(".".join(schemas), name, fields, of_call)
            self._refuse_call(".".join((*schemas, name)), refusal, fields, explanation)
        self._column_casts += self._functions.result_casts(".".join(schemas), name, argument_count, known)
        if name == "current_setting":
            self._check_setting(arguments, fields)
        if name in MAKES_ROWS and not (arguments and "TypeCast" in arguments[0]):
            self._check_rows_made_of(name, fields)
        if name in TAKES_TYPE_AS_TEXT:
            self._check_type_text(fields)

    def _runs_checked_texts(self, names: list[Node], call: Node, known: Callable[[], CallArguments]) -> bool:
        """Return whether a call runs only SQL texts that are written in it, after a check of these texts."""
        *schemas, name = strings(names)
        texts = written_texts(call, self._sql)
        if self._validate_text is None or texts is None:
            return False
        if not self._functions.runs_texts_as_written(".".join(schemas), name, len(call["args"]), known):
            return False
        self.depends_on_literals = True
        for text in texts:
            try:
                self._tables_of_texts += self._validate_text(text).tables
            except SqlRejectedError as error:
                message = f"the SQL text in {name}() is not allowed: {error}"
                self._refuse(message, call, offending=name, hint=error.hint)
        return True

    def _argument_types_of_call(self, call: Node) -> CallArguments:
        return self._argument_types().of_call(call)

    def _operand_types(self, operands: Operands) -> CallArguments:
        return self._argument_types().of_operands(operands)

    def _argument_types(self) -> ArgumentTypes:
        if self._types is None:
            self._types = self._functions.argument_types(self._root)
        return self._types

    def _check_json(self, _: Node, node: Node) -> None:
        ((kind, fields),) = node.items()
        self._check_call_on_older_servers(call_on_older_servers(kind, fields), fields)

    def _check_call_on_older_servers(self, name: str, fields: Node) -> None:
        if name and (refusal := self._functions.json_refusal(name)):
            hint = "write jsonb_build_array(), jsonb_build_object(), jsonb_agg() or to_jsonb() instead"
            text = TEXT_BY_REASON[RefusalReason.SHADOWED]
            self._refuse_call(name, refusal, fields, Explanation(text, hint))

    def _note_functions(self, functions: list[Node], item: Node) -> None:
        self._qualified_names.note_function(functions, item)
        self._built_in_calls.update(map(id, unnests_of_several(item)))

    def _check_rows_made_of(self, what: str, fields: Node) -> None:
        """Refuse to make rows of a type that the statement does not name, if any cast or CHECK is refused."""
        if refusal := self._functions.type_text_refusal(""):
            self._refuse_use("a row made by", what, refusal, fields)

    def _check_type_text(self, call: Node) -> None:
        self.depends_on_literals = True
        text = written_type(call)
        if refusal := self._functions.type_text_refusal(text):
            self._refuse_use("a cast to type", text or "whose name is computed", refusal, call)

    def _check_setting(self, arguments: list[Node], fields: Node) -> None:
        self.depends_on_literals = True
        for setting in map(constant_text, arguments):
            if setting in SECRET_SETTINGS:
                message = f"the setting {setting} may hold a password"
                self._refuse(message, fields, offending=setting, hint="leave it out")

    def _check_relation(self, name: str, fields: Node) -> None:
        schema = fields.get("schemaname", "")
        self._named_relations.append((fields.get("location", 0), f"{schema}.{name}" if schema else name))
        if id(fields) in self._with_references:
            return
        if has_secret_column(schema, name):
            self._relations_with_secrets.append(fields)
            self.depends_on_literals = True  # a condition may exclude the rows with secrets
        elif secret := secret_relation_refusal(schema, name):
            message, hint = secret
            self._refuse(message, fields, offending=name, hint=hint)
        if refusal := self._functions.relation_refusal(schema, name):
            self._refuse(refusal.message_for(name), fields, offending=name, hint=refusal.hint_for_relation())
        self._column_casts += self._functions.column_casts(schema, name)

    def _check_column_casts(self, root: Node) -> None:
        """Refuse a statement that may call a refused cast of a column's type."""
        self.depends_on_literals |= any(each.cast.is_check for each in self._column_casts)
        columns = self._functions.known_columns(root, self._with_references)
        facts = replace(self._functions.cast_search_facts, has_column=columns.has)
        found = find_refused_cast(root, self._column_casts, facts, cast_types=self._cast_types)
        if found:
            self._refuse(found.message, found.place, offending=found.offending, hint=found.hint)

    def _check_secret_columns(self, root: Node) -> None:
        if not self._relations_with_secrets:
            return
        is_own = not self._functions.compares_names_itself()
        if found := find_secret_use(
            root,
            self._relations_with_secrets,
            trusts_conditions=is_own,
            trusts_type_names=not self._functions.cast_search_facts.puts_schemas_first,
        ):
            relation, column, offending, fields, shows_samples = found
            shows = "it" if offending == column else f"{offending} may show it; it"
            message = f"the column {column} of {relation} is not readable here: {shows} may hold passwords"
            hint = f"name the columns you need, one by one, without {column}"
            if shows_samples:
                hint += "; or add a condition such as schemaname = 'public' or tablename = 'orders'"
            self._refuse(message, fields, offending=offending, hint=hint)

    def _check_column(self, names: list[Node], fields: Node) -> None:
        self._qualified_names.note_column(names, fields)
        if len(names) > 1 and (name := name_of(names[-1])):
            self._column_casts += self._functions.result_casts("", name, 1)

    def _check_indirection(self, steps: list[Node], fields: Node) -> None:
        for place, name in enumerate(map(name_of, steps)):
            refusal = self._functions.value_function_refusal(name)
            if refusal and not self._is_field(fields["arg"], steps[: place + 1]):
                value = fields["arg"] if place == 0 else {}
                explanation = self._functions.uncertain_calls.of_field(value, name)
                self._refuse_call(name, refusal, fields, explanation)
            self._column_casts += self._functions.result_casts("", name, 1)
            self._column_casts += self._functions.casts_of_made_value(name)
            if name == "current_setting":
                self._check_setting([fields["arg"]], fields)

    def _is_field(self, value: Node, steps: list[Node]) -> bool:
        """Return whether `(value).steps` is certainly a field of a row, so not a call."""
        *before, name = map(name_of, steps)
        if before:
            is_field = self._is_field(value, steps[:-1]) or not self._functions.has_function(before[-1])
            return is_field and self._functions.has_field(before[-1], name)
        if self._argument_types().is_only_row(value):
            columns = self._functions.known_columns(self._root, self._with_references)
            return columns.has(name_of(value["ColumnRef"]["fields"][0]), name)
        return self._functions.are_fields(self._argument_types().of(value), name)

    def _check_name(self, name: str | list[Node], fields: Node) -> None:
        if isinstance(name, list):  # a string is the name of a window, column or argument
            self._check_operator(name, fields)

    def _check_operator(self, names: list[Node], fields: Node) -> None:
        *schemas, symbol = strings(names)
        if symbol == "#=" and "TypeCast" not in fields.get("lexpr", {}):  # hstore's populate_record()
            self._check_rows_made_of(symbol, fields)
        uses: list[Operands | None] = [*operands_of(fields)] or [None]
        if "useOp" in fields:
            uses = [operands_of_sort(fields, self._sorted.get(id(fields)))]
        for operands in uses:
            known = partial(self._operand_types, operands) if operands else None
            if refusal := self._functions.operator_refusal(".".join(schemas), symbol, known):
                is_written = "operName" in fields or fields.get("kind") in _WRITTEN_KINDS
                explanation = self._functions.uncertain_calls.of_operator(
                    ".".join(schemas), symbol, operands, self._operand_types, is_written=is_written
                )
                self._refuse_operator(".".join((*schemas, symbol)), refusal, fields, explanation)

    def _note_sort(self, _: list[Node], query: Node) -> None:
        self._sorted.update((id(item), query) for item in sort_items(query))

    def _check_case(self, case: Node, _: Node) -> None:
        self._check_implied_operators("=", case, operands_of_case(case))

    def _check_sublink(self, link: Node, _: Node) -> None:
        self._check_implied_operators("=", link, operands_of_in(link))

    def _check_between(self, expression: Node, _: Node) -> None:
        if "BETWEEN" in expression.get("kind", ""):
            pairs = operand_pairs(expression["lexpr"], expression["rexpr"])
            self._check_implied_operators("< <= > >=", expression, pairs)

    def _check_join(self, join: Node, _: Node) -> None:
        if join.get("isNatural") or "usingClause" in join:
            self._check_implied_operators("=", join, self._argument_types().of_join(join))

    def _check_implied_operators(self, symbols: str, fields: Node, pairs: Sequence[Operands]) -> None:
        """Check operators that the server's parser adds; a database may define its own with these symbols."""
        for symbol in symbols.split():
            for pair in pairs:
                if refusal := self._functions.operator_refusal(
                    "", symbol, partial(self._operand_types, pair)
                ):
                    explanation = self._functions.uncertain_calls.of_operator(
                        "", symbol, pair, self._operand_types, is_written=False
                    )
                    self._refuse_operator(symbol, refusal, fields, explanation)

    def _check_type(self, names: list[Node], fields: Node) -> None:
        name = strings(names)[-1]
        if refusal := self._functions.array_refusal(name):
            self._refuse_use("a cast to type", name, refusal, fields)
        refusal = self._functions.type_refusal(name)
        if not refusal:
            return
        of_literals = self._types_of_casts.get(id(fields))
        casts = None if of_literals is None else self._functions.written_casts(name, of_literals=of_literals)
        if casts is None:
            self._refuse_use("a cast to type", name, refusal, fields)
        self._column_casts += casts  # a cast value is followed like a value of a column
        self._cast_types.setdefault(name, set()).update(each.cast.type_name for each in casts)

    def _note_cast(self, cast: Node, _: Node) -> None:
        self._types_of_casts[id(cast["typeName"])] = is_untyped_literal(cast["arg"])

    def _check_sampling(self, names: list[Node], fields: Node) -> None:
        *schemas, name = strings(names)  # extensions bring system_rows and system_time, in any schema
        if name not in SAMPLING_METHODS:
            method = ".".join((*schemas, name))
            hint = f"methods: {', '.join(sorted(SAMPLING_METHODS))}"
            self._refuse(f"sampling method {method} is not known", fields, offending=method, hint=hint)


# Keyed by field, not by the name of a node: if the grammar allows only one kind of node, the tree has the
# node's fields in the parent, without a name.
_CHECK_BY_FIELD: Final[dict[str, Callable[[ReadingCheck, Any, Node], None]]] = {
    "A_Expr": ReadingCheck._check_between,
    "CaseExpr": ReadingCheck._check_case,
    **dict.fromkeys(CALLS_BY_JSON_NODE, ReadingCheck._check_json),
    "JoinExpr": ReadingCheck._check_join,
    "SubLink": ReadingCheck._check_sublink,
    "TypeCast": ReadingCheck._note_cast,
    "ctename": ReadingCheck._note_with_name,
    "fields": ReadingCheck._check_column,
    "funcname": ReadingCheck._check_call,
    "functions": ReadingCheck._note_functions,
    "indirection": ReadingCheck._check_indirection,
    "intoClause": ReadingCheck._refuse_into,
    "lockingClause": ReadingCheck._refuse_locking,
    "method": ReadingCheck._check_sampling,
    "name": ReadingCheck._check_name,
    "names": ReadingCheck._check_type,
    "operName": ReadingCheck._check_operator,
    "relname": ReadingCheck._check_relation,
    "sortClause": ReadingCheck._note_sort,
    "useOp": ReadingCheck._check_operator,
}
