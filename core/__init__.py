"""The nouns that every stage shares: model spec, labels, metrics, datasets, errors."""
