"""Augmented views for pre-training: recipes as data, draws per example, two engines."""
