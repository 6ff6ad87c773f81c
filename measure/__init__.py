"""Measuring: accuracy, speed, power; comparison of trainings and of domains."""
