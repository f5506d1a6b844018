"""Search, near names and values over a catalog."""
