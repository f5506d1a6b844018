"""What the database holds: read from its catalog, kept, searched, and written for prompts and people."""
