"""Runs validated statements on worker processes, and stops each at its deadline.

The front is pgmcp's main process, which serves the hosts. Each worker is a separate process.

Modules on a statement's path:

supervisor         runs a statement: chooses the lane, gets a worker, enforces the deadline
lanes              limits the concurrent statements of unknown cost
plan               the planner's estimates for a statement, and which statements were cheap
exchange           one exchange with a worker: the statement, its deadlines, the reply
replies            turns a reply into rows or an error
result             columns, rows, and why they are incomplete

Modules about workers:

pool               the workers of one database: how many, who has one, when one is replaced
allocation         callers that wait for a worker, who gets an idle one, and how many to start
worker_starts      workers that are being started, and what the database refused
connecting         starts a worker and connects it
connection_hints   hints for failed connections
credentials        passwords that change while the server runs
worker_process     one worker as the front sees it: frames in, frames out
spawn, fork_server start worker processes

Modules about a database or role:

role               checks whether the role can do more than read
mapped_roles       checks the roles of callers
identity_executor  runs statements with a caller's role and settings
catalog_access     parts of pg_catalog that the role may not use
shared_session     servers whose connections are all one session
policy/            what the database's own functions, views and row policies call
"""
