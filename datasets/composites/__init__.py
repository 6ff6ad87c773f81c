"""Composite images: things cut out of labelled photographs, on other backgrounds, with exact labels."""
