-- A role for pgmcp that can only read. Run it in the database "shop", as a superuser or its owner:
--   psql -d "shop" -f this-file
-- then give the role a password: \password "pgmcp_reader"

CREATE ROLE "pgmcp_reader" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 20;

-- A second line of defence behind pgmcp's own transaction and deadline.
ALTER ROLE "pgmcp_reader" SET default_transaction_read_only = on;
ALTER ROLE "pgmcp_reader" SET statement_timeout = '60s';
ALTER ROLE "pgmcp_reader" SET lock_timeout = '5s';
ALTER ROLE "pgmcp_reader" SET idle_in_transaction_session_timeout = '30s';

GRANT CONNECT ON DATABASE "shop" TO "pgmcp_reader";

-- By default everyone may create temporary tables. Grant TEMPORARY to the roles that need them.
REVOKE TEMPORARY ON DATABASE "shop" FROM PUBLIC;

-- Schema "public": existing tables, and those its owner adds later. Tables added by other roles need
-- ALTER DEFAULT PRIVILEGES FOR ROLE <that role> IN SCHEMA "public" GRANT SELECT ON TABLES TO "pgmcp_reader";
REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;
GRANT USAGE ON SCHEMA "public" TO "pgmcp_reader";
GRANT SELECT ON ALL TABLES IN SCHEMA "public" TO "pgmcp_reader";
GRANT SELECT ON ALL SEQUENCES IN SCHEMA "public" TO "pgmcp_reader";
ALTER DEFAULT PRIVILEGES IN SCHEMA "public" GRANT SELECT ON TABLES TO "pgmcp_reader";
ALTER DEFAULT PRIVILEGES IN SCHEMA "public" GRANT SELECT ON SEQUENCES TO "pgmcp_reader";
