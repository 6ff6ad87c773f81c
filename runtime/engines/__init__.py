"""Inference engines behind one base class."""
