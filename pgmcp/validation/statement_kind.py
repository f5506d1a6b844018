"""Classifies a statement: a query, EXPLAIN of a query, or SHOW; refuses everything else with a reason.

Also lists the nodes of PostgreSQL's raw parse tree that a read can contain, and distinguishes SQL from prose
in a model's reply.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node, Statement, character_offset, strings
from pgmcp.validation.lexer import tokenize
from pgmcp.validation.other_dialects import hint_for_function, hint_for_operator
from pgmcp.validation.refusal_reasons import TEXT_BY_REASON, RefusalReason, hint_for_call
from pgmcp.validation.shipped_lists import near_builtin_functions
from pgmcp.validation.uncertain_calls import Explanation

# The raw parse nodes (src/include/nodes/parsenodes.h) that a read can contain. The tree does not name a node
# in a field that allows only one kind. Every other node is refused, including nodes that later grammars add.
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
    """.split()  # noqa: SIM905 - fifty names are easier to read in lines
)

CHANGING_NODES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})

# Statements that can also occur inside another one; the others are named by their first word.
WORDS_BY_KIND: Final = {
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
    "ExecuteStmt": "EXECUTE",
    "CreateTableAsStmt": "CREATE TABLE AS",
    "DeclareCursorStmt": "DECLARE CURSOR",
    "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
}


SAMPLING_METHODS = frozenset({"bernoulli", "system", "system_rows", "system_time"})


class StatementKind(StrEnum):
    """Kinds of accepted statements. Only a query can be wrapped in `SELECT … FROM ( … )`."""

    QUERY = "query"
    EXPLAIN = "explain"
    EXPLAIN_ANALYZE = "explain analyze"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class ValidatedStatement:
    """One statement that only reads.

    Attributes:
        text: the checked text, unchanged up to its last token.
        kind: the kind of the statement.
        tables: the relations that the statement names, as written, for messages.
        depends_on_literals: whether a check used the value of a literal, so that the same statement with
            another value might be refused.
    """

    text: str
    kind: StatementKind
    tables: tuple[str, ...]
    depends_on_literals: bool = False


SECRET_SETTINGS = frozenset(
    {
        "primary_conninfo",
        "ssl_passphrase_command",
        "archive_command",
        "restore_command",
        "archive_cleanup_command",
        "recovery_end_command",
    }
)
"""Settings that contain connection strings or shell commands, both of which can contain a password."""

# PostgreSQL manual, EXPLAIN.
EXPLAIN_OPTIONS = frozenset(
    {
        "analyze",
        "verbose",
        "costs",
        "settings",
        "generic_plan",
        "buffers",
        "serialize",
        "wal",
        "timing",
        "summary",
        "memory",
        "format",
    }
)

_STATEMENTS_UNLIKE_PROSE = frozenset(
    {"ExplainStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "DropStmt", "CreateStmt"}
)

_HINT_BY_KIND = {
    "CopyStmt": "write only the SELECT; its rows are the result",
    "CreateTableAsStmt": "write only the SELECT after AS",
    "DeclareCursorStmt": "write only the query of the cursor; long results are cut, and the answer says so",
    "PrepareStmt": "write the SELECT itself, with its values in it",
    "ExecuteStmt": "write the SELECT itself, with its values in it",
    "TransactionStmt": "leave it out; every statement already runs in a read-only transaction of its own",
    "VariableSetStmt": "leave it out; SHOW and current_setting() read settings",
}


def classify(sql: str, statements: list[Statement]) -> tuple[StatementKind, Node]:
    """Return the kind of the one statement, and the node whose tree has to be checked.

    Raises:
        SqlRejectedError: there is not exactly one statement, or it does not only read.
    """
    if len(statements) != 1:
        _refuse_several(sql, statements)
    (statement,) = statements
    if statement.kind == "SelectStmt":
        return StatementKind.QUERY, {statement.kind: statement.fields}
    if statement.kind == "VariableShowStmt":
        _check_show(statement.fields)
        return StatementKind.SHOW, {statement.kind: statement.fields}
    if statement.kind == "ExplainStmt":
        _check_explain(statement.fields)
        runs = any(map(_is_analyze, statement.fields.get("options", ())))
        kind = StatementKind.EXPLAIN_ANALYZE if runs else StatementKind.EXPLAIN
        return kind, statement.fields["query"]
    words = WORDS_BY_KIND.get(statement.kind) or _first_word(sql)
    raise SqlRejectedError(
        f"{words} is not a read; only SELECT, VALUES, TABLE, EXPLAIN of these, and SHOW are",
        hint=_HINT_BY_KIND.get(statement.kind, "write one SELECT statement"),
        offending=words,
        position=0,
    )


def is_one_statement(text: str) -> bool:
    """Return whether the text is one SQL statement, and not prose that PostgreSQL's grammar also reads.

    The grammar accepts "Select rows", "Show me" and "Begin". So two forms count as prose: a SELECT of bare
    columns without FROM, and any other command without a semicolon, except `_STATEMENTS_UNLIKE_PROSE`.
    """
    try:
        sql, _ = bounds.trim_and_bound(text)
        statements = grammar.parse(sql)
    except SqlRejectedError:
        return False
    if len(statements) != 1:
        return False
    kind, fields, _ = statements[0]
    if kind == "SelectStmt":
        return not _selects_only_words(fields)
    return kind in _STATEMENTS_UNLIKE_PROSE or text.rstrip().endswith(";")


def _selects_only_words(select: Node) -> bool:
    if any(select.get(part) for part in ("fromClause", "valuesLists", "larg", "withClause")):
        return False
    return all("ColumnRef" in each["ResTarget"].get("val", {}) for each in select.get("targetList", ()))


def _refuse_several(sql: str, statements: list[Statement]) -> NoReturn:
    start = statements[1].start if statements else 0
    hint = "send one statement at a time"
    if any(statement.kind in ("TransactionStmt", "VariableSetStmt") for statement in statements):
        hint += ", without BEGIN, COMMIT and SET; it runs in a read-only transaction of its own"
    raise SqlRejectedError(
        f"the text has {len(statements)} statements, not one",
        hint=hint,
        offending=_first_word(sql[start:].lstrip("; \t\r\n")),
        position=start,
    )


def _first_word(sql: str) -> str:
    return next((token.text for token in tokenize(sql)), "").upper()


def _check_show(fields: Node) -> None:
    name = fields["name"]
    if name.lower() in SECRET_SETTINGS:
        raise SqlRejectedError(f"the setting {name} may hold a password", hint="leave it out", offending=name)


def _check_explain(fields: Node) -> None:
    (kind,) = fields["query"]
    if kind != "SelectStmt":
        raise SqlRejectedError(
            f"EXPLAIN of {describe(kind)} is not accepted",
            hint="EXPLAIN a SELECT statement",
            offending=describe(kind),
        )
    for option in fields.get("options", ()):
        name = option["DefElem"]["defname"]
        if name not in EXPLAIN_OPTIONS:
            raise SqlRejectedError(
                f"EXPLAIN has no option {name}",
                hint=f"options: {', '.join(sorted(EXPLAIN_OPTIONS))}",
                offending=name,
            )


def _is_analyze(option: Node) -> bool:
    """Return whether an option of EXPLAIN is ANALYZE with a value that is not clearly false."""
    element = option["DefElem"]
    match element.get("arg"):
        case {"String": {"sval": str(text)}} if text.lower() in ("false", "off"):
            return False
        case {"Integer": {**digits}} if not digits:  # 0
            return False
    return bool(element["defname"] == "analyze")


def only_reads(root: Node) -> bool:
    """Return whether a statement is a query that neither writes nor locks, apart from what its calls do."""
    return "SelectStmt" in root and all(
        (name >= "a" or name in NODES_OF_A_READ)
        and fields.keys().isdisjoint(("intoClause", "lockingClause"))
        and ("method" not in fields or strings(fields["method"])[-1] in SAMPLING_METHODS)
        for name, fields in grammar.walk(root)
    )


def describe(kind: str) -> str:
    """Return the SQL words for a kind of statement or node, or its name in the grammar."""
    return WORDS_BY_KIND.get(kind, kind)


def locking_clause_offset(sql: str) -> int | None:
    """Return where FOR UPDATE or the like begins; the tree does not have its location."""
    previous_word, start = "", 0
    for token in tokenize(sql):
        word = token.text.lower()
        if previous_word == "for" and word in ("update", "no", "share", "key"):
            return start
        previous_word, start = word, token.start
    return None


class StatementRefusals:
    """Raises the errors that refuse one statement.

    Args:
        sql: the text of the statement.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def _refuse_call(
        self, name: str, reason: RefusalReason, fields: Node, explanation: Explanation | None
    ) -> NoReturn:
        why, hint = explanation or (TEXT_BY_REASON[reason], hint_for_call(name, reason))
        if reason is RefusalReason.UNKNOWN and not hint_for_function(name):
            near = near_builtin_functions(name)
            hint = f"similar names: {', '.join(near)}; {hint}" if near else hint
        self._refuse(f"function {name}() is not allowed: {why}", fields, offending=name, hint=hint)

    def _refuse_operator(
        self, name: str, reason: RefusalReason, fields: Node, explanation: Explanation | None
    ) -> NoReturn:
        if not explanation:
            self._refuse_use("operator", name, reason, fields)
        message = f"operator {name} is not allowed: {explanation.text}"
        self._refuse(message, fields, offending=name, hint=explanation.hint)

    def _refuse_use(self, what: str, name: str, reason: RefusalReason, fields: Node) -> NoReturn:
        message = f"{what} {name} is not allowed: {TEXT_BY_REASON[reason]}"
        hint = "use a built-in type or function, or OPERATOR(pg_catalog.…) for a built-in operator"
        self._refuse(message, fields, offending=name, hint=hint_for_operator(name) or hint)

    def _refuse_into(self, into: Node, _: Node) -> NoReturn:
        hint = "write the SELECT without INTO; the rows come back as the result"
        self._refuse("SELECT ... INTO creates a table", into["rel"], offending="INTO", hint=hint)

    def _refuse_locking(self, *_: Any) -> NoReturn:
        raise SqlRejectedError(
            "FOR UPDATE, FOR SHARE and the like lock rows",
            hint="write the SELECT without the locking clause",
            offending="FOR",
            position=locking_clause_offset(self._sql),
        )

    def _refuse_node(self, name: str, fields: Node) -> NoReturn:
        words = describe(name)
        message = (
            f"{words} inside WITH changes data"
            if name in CHANGING_NODES
            else f"{words} is not allowed in a read-only statement"
        )
        self._refuse(message, fields.get("relation", fields), offending=words, hint="write a SELECT instead")

    def _refuse(self, message: str, fields: Node, *, offending: str, hint: str) -> NoReturn:
        location = fields.get("location", -1)
        position = character_offset(self._sql, location) if location >= 0 else None
        raise SqlRejectedError(message, hint=hint, offending=offending, position=position)
