"""From a question to SQL: prompt, model client, and the operator's context file."""
