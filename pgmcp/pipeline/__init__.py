"""Runs the stages of one request.

    query        admit → verified SQL, or schema context → write SQL → validate → execute → check
                                               ▲                        │          │         │
                                               └──── repair, at most max_sql_retry times ────┘
    execute_sql  admit → validate → execute

The check finds values that a column does not contain, default filters that the statement lacks, and
aggregates over rows that a join repeats. If it finds a problem, and a repair is left, the model is asked once
to reconsider. The first answer is returned unless the second one is better. If the caller wants only SQL, the
statement is planned instead of executed.

pipeline        the order of the stages
admission       admits calls, limits their time and reports them
databases       finds a database by name, and what a caller may see of it
identities      one database with the rights of each caller's role
repair_loop     lets the model write SQL, and repair SQL that is rejected, fails, or gives a suspect result
writing         finds the operator's verified SQL, or asks the model for SQL and charges the token budget
choice          the readings of an ambiguous question, before one is chosen
statements      validate → execute or plan; adds hints to a statement that fails
schema_access   searches the schema, reads it again, and bounds reads of resources

call            the state of one call
protocols       the interfaces that the pipeline uses
tracer          reports a call and its stages to the caller, the log, the audit file and the trace
"""

from pgmcp.pipeline.call import (
    Bounds,
    Call,
    CallOptions,
    Database,
    Operation,
    QueryOptions,
    ReturnType,
    Stage,
)
from pgmcp.pipeline.choice import Choice
from pgmcp.pipeline.databases import Databases
from pgmcp.pipeline.pipeline import Pipeline
from pgmcp.pipeline.tracer import Observer, OnStage

__all__ = [
    "Bounds",
    "Call",
    "CallOptions",
    "Choice",
    "Database",
    "Databases",
    "Observer",
    "OnStage",
    "Operation",
    "Pipeline",
    "QueryOptions",
    "ReturnType",
    "Stage",
]
