#!/usr/bin/env bash
# PGlite 0.5.14 (PostgreSQL 18 as WebAssembly): statement_timeout is accepted, shown, and has no effect.
#
# SET succeeds and SHOW returns the value of statement_timeout, transaction_timeout and
# client_connection_check_interval. But there is one thread and no timer, so nothing ever interrupts a
# statement. pg_cancel_backend() and pg_terminate_backend() of the own backend return false. pg_stat_ssl has no
# row for the own backend, so a query that expects one finds none. A client needs its own timeout.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit @electric-sql/pglite@0.5.14 >/dev/null
cat >finding.mjs <<'JS'
import { PGlite } from "@electric-sql/pglite";

const db = await PGlite.create();
const value = async (sql) => Object.values((await db.query(sql)).rows[0] ?? { none: "no row" })[0];
const expect = (name, expected, seen) => {
  console.log(`${name}: ${seen}`);
  if (String(seen) !== String(expected)) throw new Error(`CHANGED: expected ${expected}`);
};
await db.exec("set statement_timeout = '1ms'; set client_connection_check_interval = '250ms'");
expect("show statement_timeout", "1ms", await value("show statement_timeout"));
expect("show client_connection_check_interval", "250ms", await value("show client_connection_check_interval"));
// A few hundred milliseconds of work: a server with a timer stops it.
expect("rows counted in spite of 1 ms", 1000000, await value("select count(*) from generate_series(1, 1000000)"));
expect("pg_cancel_backend", false, await value("select pg_cancel_backend(pg_backend_pid())"));
expect("pg_stat_ssl", "no row", await value("select ssl from pg_stat_ssl where pid = pg_backend_pid()"));
await db.close();
JS
node finding.mjs
