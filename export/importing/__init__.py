"""The import of a network: an artefact from a file of another tool, with proof that it computes the same."""
