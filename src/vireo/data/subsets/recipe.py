"""A subset before it is drawn; the record itself lies with the others."""

from vireo.records.subsets import Rule, SubsetRecipe

__all__ = ["Rule", "SubsetRecipe"]
