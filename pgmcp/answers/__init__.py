"""What the model gets back: compact text within a token budget, and structured content."""
