"""What was measured, for people: tables, terminal, HTML, plots."""
