#!/bin/sh
# Runs once in the database container, after the shop was loaded: makes the role that pgmcp logs in as.
set -eu
psql --set=ON_ERROR_STOP=1 --username=postgres --dbname=shop --quiet \
  --file=/run/pgmcp/reader.sql \
  --command="\\set password \`cat /run/secrets/reader_password\`" \
  --command="ALTER ROLE pgmcp_reader PASSWORD :'password'"
