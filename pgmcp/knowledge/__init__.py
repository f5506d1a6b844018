"""Imports descriptions from other tools into the context file.

    files ─▶ dbt, Apache Ossie, Cube ┐
    comments of the database        ├─▶ entries ─▶ checked by EXPLAIN ─▶ changes of the context file ─▶ a diff
    drafts of the model             ┘      └─▶ what was left out, and why

files        finds and reads the files, and recognises their format
importing    reads all files of one import, and lets PostgreSQL plan the SQL of entries
dbt          reads dbt's manifests, with dbt_models, dbt_metrics and dbt_filters
ossie        reads models of Apache Ossie
cube         reads YAML of Cube
draft        asks a model to propose entries, from the questions in the audit file
entries      describes what a reader finds, and what was left out
tables       finds the named tables and columns in the catalog, and adds joins
relations    writes an expression over several tables as one statement
notes        adds notes on tables and columns, also from comments of the database
changes      merges entries into the context file

The readers are pure functions of parsed data and of a catalog. They render no template and run no code;
entries that need either are left out. All text of a file is untrusted: it is written on one line, without
invisible characters and with a limited length, and a person accepts it.
"""
