#!/bin/sh
# Runs PgBouncer in its container, with the password that is mounted as a file.
set -eu
umask 077
printf '"pgmcp_reader" "%s"\n' "$(cat /run/secrets/reader_password)" > /tmp/users.txt
exec pgbouncer /run/pgmcp/pgbouncer.ini
