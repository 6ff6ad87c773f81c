"""Requests for masks: taken apart, answered."""
