"""The kinds of nodes in PostgreSQL's raw parse tree: those of a read, and the SQL words for the others."""

from typing import Final

from pgmcp.validation.lexer import tokenize

# The raw parse nodes (src/include/nodes/parsenodes.h) of which a read can consist. The tree does not name a
# node in a field that allows one kind only. Every other node is refused, also those of later grammars.
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
