"""`pgmcp doctor`: what works, what does not, and what to do about it, a line each.

report       a result, and how it is shown
examination  the order of it all; databases side by side
settings     where each setting comes from, and whether they can be used
machine      the program, a worker's start, token ranks, the cache folder
hosts        which hosts are here, and what they start
model        one tiny question to the endpoint
databases    the checks of one database, in connection_, safety_ and answer_checks
context      what those checks are given
"""

from pgmcp.cli.doctor.examination import run_doctor

__all__ = ["run_doctor"]
