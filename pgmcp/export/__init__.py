"""Results as files: CSV and Parquet."""
