"""An MCP server that lets language models query PostgreSQL, read-only and bounded.

The folders are the stages of one question, in the order of the story that
`pgmcp.pipeline` tells; `python -m pgmcp` serves it over stdio.
"""

__version__ = "0.1.0"
