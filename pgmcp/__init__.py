"""An MCP server that lets language models query PostgreSQL, read-only and within limits.

See `pgmcp.pipeline` for the stages of a request; `python -m pgmcp` serves over stdio.
"""

__version__ = "0.1.0"
