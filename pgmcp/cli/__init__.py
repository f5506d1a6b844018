r"""The command line: commands for people, and the start of the server for hosts.

app                defines the commands and their options
set_up_commands    defines `install`, `doctor` and `setup-sql`
context            defines `context import` and `context draft`
options            options that several commands have
command_group      ends a command with a message and an exit code
errors             error texts and exit codes
command_session    opens the pipeline for a command, and shows its progress

serve              `serve`
ask                `ask` and `sql`
catalog_commands   `schema`; `\d` and the other commands of psql, in `sql` and `shell`
learn              `learn`
context_changes    changes of the context file, shown and confirmed
evaluate           `evaluate`
setup_sql          `setup-sql`; grants is its option `--check`
shell/, install/, doctor/

show               prints an answer in the requested form
table              rows as a table or as records
terminal           colours, progress, the pager, confirmations, and escaping of untrusted text
"""
