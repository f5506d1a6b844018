"""A PostgreSQL of our own with a shop in it: for the guided tour, and for the tests."""
