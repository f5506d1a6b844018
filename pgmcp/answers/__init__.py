"""Renders answers: compact text within a token budget, and structured content."""
