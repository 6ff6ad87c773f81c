"""Reports of measurements: tables, terminal, HTML, plots."""
