#!/bin/sh
# Runs once in the database container: loads the demo shop, and creates pgmcp's role.
set -eu
database=${POSTGRES_DB:-shop}
role=${READER_ROLE:-pgmcp_reader}
files=${COMPOSE_FILES:-/run/pgmcp}
password_file=${READER_PASSWORD_FILE:-/run/secrets/reader_password}

run() {
  psql --set=ON_ERROR_STOP=1 --username=postgres --dbname="$database" --quiet --single-transaction "$@"
}

run --file=- --file="$files/shop.sql" <<'SQL'
SELECT set_config('shop.as_of', now()::text, true) \g /dev/null
SQL
psql --set=ON_ERROR_STOP=1 --username=postgres --dbname="$database" --quiet \
  --file="$files/reader.sql" --file=- <<SQL
\set password \`cat "$password_file"\`
ALTER ROLE "$role" PASSWORD :'password';
SQL
psql --username=postgres --dbname="$database" --quiet --command=ANALYZE
