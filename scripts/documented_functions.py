"""Verdicts about functions of extensions that PostgreSQL does not ship, for `generate_function_list.py`."""

from typing import Final

from pgmcp.validation.refusal_reasons import RefusalReason as Reason

_TOPOLOGY_EDITS = """
    st_addedgemodface st_addedgenewfaces st_addisoedge st_addisonode st_changeedgegeom st_createtopogeo
    st_inittopogeo st_modedgeheal st_modedgesplit st_moveisonode st_newedgeheal st_newedgessplit
    st_remedgemodface st_remedgenewface st_remisonode st_removeisoedge st_removeisonode
"""

# `/text` means the overloads whose first argument is a text, the name of a table. PostGIS 3.1 removed these
# overloads, except those of valuecount and valuepercent.
_WITH_NAMES_OF_TABLES = """
    _st_count/text _st_histogram/text _st_quantile/text _st_summarystats/text _st_valuecount/text
    st_approxcount/text st_approxhistogram/text st_approxquantile/text st_approxsummarystats/text
    st_count/text st_histogram/text st_quantile/text st_summarystats/text
    st_valuecount/text st_valuepercent/text
"""

# Reason, extension, refusal (None if allowed) and names, from the extensions' install scripts and manuals.
# `*` means any ending. If several names of an extension match a function, the longest name decides. If no
# name matches, the function's declaration decides.
DOCUMENTED: Final[tuple[tuple[str, str, Reason | None, str], ...]] = (
    (
        "computes from its arguments",
        "postgis",
        None,
        "st_* _st_* postgis_* geometry* geography* box2d* box3d* gidx* find_srid overlaps_*",
    ),
    ("creates objects", "postgis", Reason.STORAGE, "postgis_extensions_upgrade st_createoverview"),
    ("creates a table, IMMUTABLE or not", "postgis", Reason.STORAGE, "st_fromflatgeobuftotable"),
    ("VOLATILE by omission", "postgis", None, "longtransactionsenabled"),
    ("alters databases and extensions", "postgis", Reason.STORAGE, "postgis_extension_*"),
    ("reads a table by its name in a text", "postgis", Reason.SQL_TEXT, "st_findextent"),
    ("opens files of rasters", "postgis_raster", Reason.FILES, "st_addband st_fromgdalraster st_setbandpath"),
    (
        "runs an expression, or calls a function, that is given to it",
        "postgis_raster",
        Reason.SQL_TEXT,
        "_st_mapalgebra st_mapalgebra st_mapalgebraexpr st_mapalgebrafct st_mapalgebrafctngb",
    ),
    ("reads a table by its name, STABLE or not", "postgis_raster", Reason.SQL_TEXT, "st_retile"),
    (
        "the forms that begin with a text read the table of that name, STABLE or not",
        "postgis_raster",
        Reason.SQL_TEXT,
        _WITH_NAMES_OF_TABLES,
    ),
    ("VOLATILE by omission", "postgis_raster", None, "st_rotation st_setbandnodatavalue st_setvalue"),
    ("edits the topology", "postgis_topology", Reason.VOLATILE, _TOPOLOGY_EDITS),
    (
        "VOLATILE, reads the topology",
        "postgis_topology",
        None,
        "findlayer findtopology geometry st_simplify st_srid",
    ),
    (
        "reads tables by their names in texts, IMMUTABLE or not",
        "address_standardizer",
        Reason.SQL_TEXT,
        "standardize_address",
    ),
    (
        "VOLATILE by omission, writes a script as text and runs nothing",
        "postgis_tiger_geocoder",
        None,
        "drop_dupe_featnames_generate_script drop_nation_tables_generate_script "
        "drop_state_tables_generate_script loader_generate_census_script loader_generate_nation_script "
        "loader_generate_script missing_indexes_generate_script",
    ),
    (
        "VOLATILE by omission, looks a place up",
        "postgis_tiger_geocoder",
        None,
        "location_extract_countysub_fuzzy",
    ),
    (
        "computes from its arguments",
        "timescaledb",
        None,
        "time_bucket* locf interpolate histogram first last",
    ),
    (
        "VOLATILE, reads sizes and estimates",
        "timescaledb",
        None,
        "approximate_row_count chunks_detailed_size hypertable_approximate_detailed_size "
        "hypertable_approximate_size hypertable_detailed_size hypertable_index_size hypertable_size "
        "show_tablespaces",
    ),
    (
        "VOLATILE, draws random numbers",
        "timescaledb",
        None,
        "generate_uuidv7",
    ),
    ("transition functions VOLATILE by omission", "hll", None, "hll_add_agg hll_union_agg"),
    (
        "sets a default of the session, IMMUTABLE or not",
        "hll",
        Reason.SETTINGS,
        "hll_set_defaults hll_set_max_sparse hll_set_output_version",
    ),
    (
        "transition functions VOLATILE by omission",
        "pointcloud",
        None,
        "pc_patch pc_patch_agg pc_point_agg pc_union",
    ),
    (
        "VOLATILE by omission, computes from its arguments",
        "pointcloud_postgis",
        None,
        "geometry pc_boundingdiagonalgeometry pc_envelopegeometry pc_intersection pc_intersects",
    ),
    ("VOLATILE by omission, computes from its arguments", "q3c", None, "q3c_ipixcenter"),
    ("VOLATILE by omission, computes from its arguments", "pg_rational", None, "tuple_to_rational"),
    (
        "VOLATILE by omission, asks ICU",
        "icu_ext",
        None,
        "icu_character_boundaries icu_collation_attributes icu_default_locale icu_line_boundaries "
        "icu_locales_list icu_sentence_boundaries icu_transform icu_transforms_list icu_unicode_version "
        "icu_version icu_word_boundaries",
    ),
    ("sets the locale of the process", "icu_ext", Reason.SETTINGS, "icu_set_default_locale"),
    (
        "VOLATILE by omission, computes from its arguments",
        "orafce",
        None,
        "regexp_count regexp_like regexp_substr translate_oracle_modifiers dump unistr",
    ),
    (
        "VOLATILE, reads the calendar of the session",
        "orafce",
        None,
        "days_inmonth isleapyear including_start using_easter using_great_friday",
    ),
    (
        "VOLATILE by omission, a clock, random numbers or a computation",
        "orafce",
        None,
        "format_call_stack get_time normal random string subst unique_session_name value",
    ),
    (
        "sets the state of the session, IMMUTABLE or not",
        "orafce",
        Reason.SETTINGS,
        "set_nls_sort",
    ),
    (
        "reaches files of the server",
        "orafce",
        Reason.FILES,
        "fclose fclose_all fcopy fflush fgetattr fopen fremove frename tmpdir",
    ),
    ("swaps the storage of two indexes, STABLE or not", "pg_repack", Reason.STORAGE, "repack_index_swap"),
    (
        "reads a table by its name, STABLE or not",
        "pglogical",
        Reason.SQL_TEXT,
        "table_data_filtered",
    ),
    (
        "shows the connection string of the provider",
        "pglogical",
        Reason.SECRETS,
        "show_subscription_status",
    ),
    (
        "VOLATILE by omission, tells a version or a timestamp",
        "pglogical",
        None,
        "pglogical_max_proto_version pglogical_min_proto_version pglogical_version pglogical_version_num "
        "xact_commit_timestamp_origin",
    ),
    (
        "VOLATILE, reads statistics in shared memory",
        "pg_qualstats",
        None,
        "pg_qualstats pg_qualstats_deparse_qual pg_qualstats_example_queries pg_qualstats_example_query "
        "pg_qualstats_get_idx_col pg_qualstats_get_qualnode_rel pg_qualstats_names",
    ),
    ("discards statistics", "pg_qualstats", Reason.STATISTICS, "pg_qualstats_reset"),
    ("VOLATILE, reads statistics in shared memory", "pg_stat_kcache", None, "pg_stat_kcache"),
    ("discards statistics", "pg_stat_kcache", Reason.STATISTICS, "pg_stat_kcache_reset"),
    (
        "VOLATILE, reads statistics in shared memory",
        "pg_wait_sampling",
        None,
        "pg_wait_sampling_get_current pg_wait_sampling_get_history pg_wait_sampling_get_profile",
    ),
    ("discards statistics", "pg_wait_sampling", Reason.STATISTICS, "pg_wait_sampling_reset_profile"),
    (
        "VOLATILE by omission, reads the tables of its history",
        "pg_track_settings",
        None,
        "pg_track_db_role_settings pg_track_db_role_settings_diff pg_track_db_role_settings_log "
        "pg_track_reboot_log pg_track_settings pg_track_settings_diff pg_track_settings_log",
    ),
    (
        "VOLATILE, shows hypothetical indexes of the session",
        "hypopg",
        None,
        "hypopg hypopg_get_indexdef hypopg_relation_size",
    ),
    (
        "adds or removes hypothetical indexes of the session",
        "hypopg",
        Reason.SETTINGS,
        "hypopg_create_index hypopg_drop_index hypopg_reset hypopg_reset_index",
    ),
    (
        "VOLATILE, shows what the operating system caches",
        "pgfincore",
        None,
        "pgfincore pgfincore_drawer pgsysconf pgsysconf_pretty",
    ),
    (
        "changes what the operating system caches",
        "pgfincore",
        Reason.STORAGE,
        "pgfadvise pgfadvise_dontneed pgfadvise_loader pgfadvise_normal pgfadvise_random "
        "pgfadvise_sequential pgfadvise_willneed",
    ),
    ("reads dead rows, past the policies of the table", "pg_dirtyread", Reason.PAGES, "pg_dirtyread"),
    ("VOLATILE by omission, reads the priority of a backend", "prioritize", None, "get_backend_priority"),
    ("changes the priority of a backend", "prioritize", Reason.OTHER_SESSIONS, "set_backend_priority"),
    ("VOLATILE by omission, tells the version", "mysql_fdw", None, "mysql_fdw_version"),
    (
        "VOLATILE by omission, reads the state of queues",
        "pgq",
        None,
        "batch_event_tables get_batch_info get_consumer_info get_queue_info version",
    ),
    (
        "runs a query that is given to it, IMMUTABLE or not",
        "pgrouting",
        Reason.SQL_TEXT,
        "_trsp _v4trsp",
    ),
    ("runs a query that is given to it, IMMUTABLE or not", "pgrouting", Reason.SQL_TEXT, "pgr_* _pgr_*"),
    ("tells the version", "pgrouting", None, "pgr_version pgr_full_version"),
)
