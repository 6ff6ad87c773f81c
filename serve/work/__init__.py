"""What the routes share: models and their threads, images, limits, errors, metrics."""
