"""The benchmark: time, memory and power of a model on this machine, engine alone and end to end."""
