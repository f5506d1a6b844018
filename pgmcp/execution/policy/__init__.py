"""The policy of a database: what its own functions, views and row policies call, read from its catalog.

reader      reads everything and makes a `FunctionPolicy` of it, and again after a change
statements  the queries
resolution  the facts by which a name is resolved to a function or an operator
rows        catalog rows as objects
"""

from pgmcp.execution.policy.reader import PolicyReader, find_vital

__all__ = ["PolicyReader", "find_vital"]
