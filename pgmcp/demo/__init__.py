"""Runs an embedded PostgreSQL with an example shop, for the tour and for tests.

feature       registers `demo`, `install --demo` and a check of `doctor`
command_line  the code of these commands
tour          the tour of the real server, and its output
environment   the running shop, and the settings of a server for it
shop          the example database and its role
postgres      a private PostgreSQL server
binaries      finds PostgreSQL's programs
"""
