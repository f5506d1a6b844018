"""The page that a host shows for a result."""
