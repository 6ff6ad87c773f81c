"""The steps of an export: each takes a model and the context and gives the next model and its row of the report."""
