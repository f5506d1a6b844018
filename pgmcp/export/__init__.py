"""Results as CSV and Parquet files."""
