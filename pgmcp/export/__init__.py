"""Writes results to CSV and Parquet files; a feature that can be removed as a folder.

feature       registers the argument `export`, the settings and `--parquet`
settings      the settings
export        writes an answer's rows to a file, through a child process
process       the program of that process
parquet       writes rows as Parquet
command_line  the option `--parquet`
"""
