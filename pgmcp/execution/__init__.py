"""Who runs a validated statement, until when, and what happens if it does not come back."""
