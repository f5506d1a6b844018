"""An embedded PostgreSQL with an example shop, for the tour and for tests."""
