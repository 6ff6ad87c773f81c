"""The benchmark: what a model costs on this machine, engine alone and end to end."""
