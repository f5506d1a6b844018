"""`pgmcp doctor`: one line per check, with a hint if it fails.

report         results and their output
examination    the order of all checks; databases are checked in parallel
settings       origin and validity of each setting
machine        the program, the guards, the start of a worker, token counting, and configured hosts
model          one short question to the endpoint
http           the server over HTTP, the issuer of tokens, and the Redis that several servers share
databases      the checks of one database, in `connection_checks`, `safety_checks` and `answer_checks`
check_context  the arguments of those checks
"""

from pgmcp.cli.doctor.examination import run_doctor

__all__ = ["run_doctor"]
