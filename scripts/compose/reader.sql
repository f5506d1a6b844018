-- A role for pgmcp that can only read. Read this script, then run it as a superuser or, if the role exists
-- already, as each owner of tables. It can be run again:
--   psql -v ON_ERROR_STOP=1 -d "shop" -f this-file
-- then give the role a password: \password "pgmcp_reader"

BEGIN;

DO $pgmcp$
BEGIN
  IF pg_catalog.current_database() <> 'shop'::pg_catalog.name THEN
    RAISE EXCEPTION 'this script is for the database %, and this is %: nothing is changed',
      pg_catalog.quote_ident('shop'), pg_catalog.quote_ident(pg_catalog.current_database())
      USING HINT = 'Name the database: psql -d';
  END IF;
END $pgmcp$;

DO $pgmcp$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgmcp_reader') THEN
    CREATE ROLE "pgmcp_reader" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    COMMENT ON ROLE "pgmcp_reader" IS 'made by pgmcp setup-sql';
  ELSIF (SELECT pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles
         WHERE rolname = 'pgmcp_reader') IS DISTINCT FROM 'made by pgmcp setup-sql' THEN
    RAISE NOTICE 'the role "pgmcp_reader" exists and was not made by this script: its settings stay as they are';
    RETURN;
  END IF;
  -- A second line of defence behind pgmcp's own transaction and deadline.
  ALTER ROLE "pgmcp_reader" CONNECTION LIMIT 20;
  ALTER ROLE "pgmcp_reader" SET default_transaction_read_only = on;
  ALTER ROLE "pgmcp_reader" SET statement_timeout = '60s';
  ALTER ROLE "pgmcp_reader" SET lock_timeout = '5s';
  ALTER ROLE "pgmcp_reader" SET idle_in_transaction_session_timeout = '30s';
EXCEPTION WHEN insufficient_privilege THEN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgmcp_reader') THEN
    RAISE EXCEPTION 'the role "pgmcp_reader" does not exist, and you may not create it'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'A superuser, or a role with CREATEROLE, has to run this script first.';
  END IF;
  RAISE NOTICE 'you may not change the role "pgmcp_reader": its settings stay as they are';
END $pgmcp$;

DO $pgmcp$
BEGIN
  IF pg_catalog.has_database_privilege('shop', 'CONNECT WITH GRANT OPTION') THEN
    GRANT CONNECT ON DATABASE "shop" TO "pgmcp_reader";
  ELSIF NOT pg_catalog.has_database_privilege('pgmcp_reader', 'shop', 'CONNECT') THEN
    RAISE WARNING 'the role may not connect: the database''s owner has to run this script, too';
  END IF;
END $pgmcp$;

-- Schema "public": grants on the existing tables, views and sequences, and default privileges for those that
-- their owners, or other roles that may create tables there, create later.
DO $pgmcp$
DECLARE
  relation record;
  creator name;
BEGIN
  IF pg_catalog.has_schema_privilege('public', 'USAGE WITH GRANT OPTION') THEN
    GRANT USAGE ON SCHEMA "public" TO "pgmcp_reader";
  ELSIF NOT pg_catalog.has_schema_privilege('pgmcp_reader', 'public', 'USAGE') THEN
    RAISE WARNING 'the role may not use the schema %: the schema''s owner has to run this script, too',
      '"public"';
  END IF;
  FOR relation IN
    SELECT c.oid::pg_catalog.regclass AS name, c.relkind = 'S' AS is_sequence,
           pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_mine
      FROM pg_catalog.pg_class AS c
     WHERE c.relnamespace = '"public"'::pg_catalog.regnamespace
       AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND c.relname <> ALL (ARRAY[]::pg_catalog.name[])
  LOOP
    IF relation.is_mine THEN
      EXECUTE pg_catalog.format('GRANT SELECT ON %s %s TO %I',
        CASE WHEN relation.is_sequence THEN 'SEQUENCE' ELSE 'TABLE' END, relation.name, 'pgmcp_reader');
    ELSIF NOT pg_catalog.has_table_privilege('pgmcp_reader', relation.name::pg_catalog.oid, 'SELECT') THEN
      RAISE WARNING 'not granted, because another role owns it: %', relation.name;
    END IF;
  END LOOP;
  FOR creator IN
    SELECT r.rolname
      FROM (SELECT c.relowner AS oid FROM pg_catalog.pg_class AS c
             WHERE c.relnamespace = '"public"'::pg_catalog.regnamespace
               AND NOT EXISTS (  -- the creator of an extension need not own other tables
                 SELECT FROM pg_catalog.pg_depend AS e
                  WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid
                    AND e.deptype = 'e')
            UNION ALL SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'public'
            UNION ALL SELECT d.datdba FROM pg_catalog.pg_database AS d
             WHERE d.datname = pg_catalog.current_database()
               AND pg_catalog.has_schema_privilege(d.datdba, 'public', 'CREATE')
            UNION ALL SELECT a.grantee
              FROM pg_catalog.pg_namespace AS n, pg_catalog.aclexplode(n.nspacl) AS a
             WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE') AS o
      JOIN pg_catalog.pg_roles AS r ON r.oid = o.oid
           -- A member of such a role creates tables, too, and owns them itself.
           OR (NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE'))
     WHERE r.rolname !~ '^pg_' AND r.rolname <> 'pgmcp_reader'
    UNION SELECT CURRENT_USER
    UNION SELECT pg_catalog.unnest(ARRAY[]::pg_catalog.name[])
  LOOP
    IF pg_catalog.pg_has_role(creator, 'USAGE') THEN
      EXECUTE pg_catalog.format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
        creator, 'public', 'pgmcp_reader');
      EXECUTE pg_catalog.format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON SEQUENCES TO %I',
        creator, 'public', 'pgmcp_reader');
    ELSIF NOT EXISTS (  -- that role has not run this script yet
        SELECT FROM pg_catalog.pg_default_acl AS d, pg_catalog.aclexplode(d.defaclacl) AS a
         WHERE d.defaclrole = pg_catalog.quote_ident(creator)::pg_catalog.regrole AND d.defaclobjtype = 'r'
           AND d.defaclnamespace IN ('0', '"public"'::pg_catalog.regnamespace::pg_catalog.oid)
           AND a.grantee = '"pgmcp_reader"'::pg_catalog.regrole AND a.privilege_type = 'SELECT') THEN
      RAISE WARNING 'later tables of % will not be readable: that role has to run this script, too', creator;
    END IF;
  END LOOP;
END $pgmcp$;

-- PostgreSQL lets every role create temporary tables. This takes the right from PUBLIC: grant TEMPORARY to
-- the roles that need it.
REVOKE TEMPORARY ON DATABASE "shop" FROM PUBLIC;

-- Before PostgreSQL 15 every role may create tables in the schema public. This takes the right from PUBLIC:
-- grant CREATE to the roles that need it.
REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;

COMMIT;
