"""From a question to SQL: the prompt, the model, and what the operator told us in advance."""
