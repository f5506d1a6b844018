"""Reads from a database's catalog what its own functions, views and row policies call.

reader      runs the statements, and makes a `FunctionPolicy` of their rows; again after a change
statements  the query for functions
relations   the query for views, row policies and foreign tables
resolution  the facts by which a name is resolved to a function or an operator
rows        catalog rows as objects
"""

from pgmcp.execution.policy.reader import PolicyReader, find_vital

__all__ = ["PolicyReader", "find_vital"]
