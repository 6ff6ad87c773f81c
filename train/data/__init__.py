"""Datasets and augmentation."""
