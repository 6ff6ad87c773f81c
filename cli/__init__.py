"""The command, one thin module a verb."""
