"""Runs validated statements on worker processes, and ends them at their deadline."""
