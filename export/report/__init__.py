"""The report of an export: rows, gates, pages."""
