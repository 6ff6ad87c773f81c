"""The chain: each step takes an artefact, gives an artefact, and adds a report row."""
