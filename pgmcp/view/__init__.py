"""The result view: an HTML page that a host shows for a result."""
