"""Losses: terms, marginal sets, distillation, auxiliary classifiers, Siamese consistency."""
