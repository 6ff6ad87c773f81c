"""Training: datasets, models, losses, trainer."""
