"""A child process that runs one statement at a time, and knows nothing of MCP or OpenAI.

It imports nothing of `pgmcp`; the two share `worker.protocol` alone.
"""
