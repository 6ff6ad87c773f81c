"""Comparison of two trainings."""
