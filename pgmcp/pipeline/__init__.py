"""One question's way through the house.

    query        admit → verified SQL, or schema context → write SQL → validate → execute → doubt
                                               ▲                        │          │         │
                                               └──── repair, at most max_sql_retry times ────┘
    execute_sql  admit → validate → execute

Doubt is an answer that compares text with a column that does not hold it: the
model sees once what the column holds, and its first answer stays if its second
is no better. Where only SQL is wanted, it is planned in place of executed.

story       the order, the repair loop and the budget of a whole call: here and nowhere else
verified    the operator's own SQL for exactly this question
writing     schema context → write SQL, each model call charged to the token budget
statements  validate → execute or plan, and what to say of a statement that fails
doubt       does the answer compare with text that its columns do not hold?
call        what is known of a call under way
watch       who hears of a call and its stages: caller, log, audit, trace
"""

from pgmcp.pipeline.call import Bounds, Call, Database, Operation, ReturnType, Stage
from pgmcp.pipeline.story import Pipeline
from pgmcp.pipeline.watch import Observer, OnStage

__all__ = [
    "Bounds",
    "Call",
    "Database",
    "Observer",
    "OnStage",
    "Operation",
    "Pipeline",
    "ReturnType",
    "Stage",
]
