"""Refuses tables and views that contain secrets, or show data of tables regardless of the privileges on them.

Some also have columns without secrets, which a statement may read (`pgmcp.validation.secret_columns`).
"""

_PASSWORDS = "it contains password hashes or connection passwords"
_FILES = "it shows files of the database server"
_RAW = "it contains data of other tables, regardless of the privileges on them"

_CATALOGS: dict[str, tuple[str, str]] = {
    "pg_authid": (_PASSWORDS, "query pg_roles instead"),
    "pg_shadow": (_PASSWORDS, "query pg_roles or pg_user instead"),
    "pg_user_mapping": (_PASSWORDS, "query pg_user_mappings without its umoptions instead"),
    "pg_user_mappings": (_PASSWORDS, "query pg_foreign_server instead"),
    "pg_subscription": (_PASSWORDS, "query pg_stat_subscription instead"),
    "pg_stat_wal_receiver": (_PASSWORDS, "query pg_stat_replication on the primary instead"),
    "pg_hba_file_rules": (_FILES, "leave it out"),
    "pg_ident_file_mappings": (_FILES, "leave it out"),
    "pg_file_settings": (_FILES, "query pg_settings instead"),
    "pg_largeobject": (_RAW, "query columns of ordinary tables instead"),
    "pg_statistic": (_RAW, "query pg_stats instead"),
    "pg_statistic_ext_data": (_RAW, "query pg_stats_ext instead"),
}

_INFORMATION_SCHEMA: dict[str, tuple[str, str]] = {
    "user_mapping_options": (_PASSWORDS, "query information_schema.foreign_servers instead"),
    "_pg_user_mappings": (_PASSWORDS, "query information_schema.foreign_servers instead"),
}

_SECRETS_BY_SCHEMA = {
    "pg_catalog": _CATALOGS,
    "information_schema": _INFORMATION_SCHEMA,
    "": _CATALOGS | _INFORMATION_SCHEMA,
}


def secret_relation_refusal(schema: str, name: str) -> tuple[str, str] | None:
    """Return the message and the hint for a relation that may not be read, else None.

    Args:
        schema: as written; "" may be any of the system schemas, which a search path can name.
    """
    if schema.startswith("pg_toast") or (not schema and name.startswith("pg_toast_")):
        written = f"{schema}.{name}" if schema else name
        return f"{written} is not readable here: {_RAW}", "query the table it belongs to instead"
    secrets = _SECRETS_BY_SCHEMA.get(schema, {})
    if name not in secrets:
        return None
    reason, hint = secrets[name]
    return f"{name} is not readable here: {reason}", hint
