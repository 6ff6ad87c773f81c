"""The chain: each step takes a model, gives a model, and adds a report row."""
