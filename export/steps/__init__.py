"""The steps of an export. Each takes a model and the context, and returns the next model and its row of the report."""
