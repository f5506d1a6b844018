"""The worker: a child process that runs one statement at a time. It has no code for MCP or models.

The front is pgmcp's main process, which serves the hosts and sends the statements.

    front ═▶ channel ─▶ service ─▶ statement ─▶ connection ─▶ PostgreSQL
    front ◀═ channel ◀─ service ◀─ bounded_rows ◀─ rows

__main__, fork_server  start a worker
process                limits, signals and standard streams of the process
protocol               the frames between front and worker
channel                reads and writes frames
service                answers requests one after another

session                keeps one connection and replaces it
session_settings       settings of sessions and transactions
connection             prepares a connection, and resets it between statements
server_facts           facts about the server, read once per connection
pooler                 whether a pooler is in front of the server
failures               why a connection or a statement failed

statement              runs one statement in a transaction that is rolled back
own_sql                runs the worker's own statements
bounded_rows           encodes and collects rows up to the limits of the request
row_format, escaping   write a row as JSON and as text
encoding               PostgreSQL's text output as cells
type_names             names of types
date_style, text_encoding  read dates and texts as the server writes them

It imports nothing of `pgmcp`. `pgmcp` imports `protocol`, `row_format` and `escaping` only.
"""
