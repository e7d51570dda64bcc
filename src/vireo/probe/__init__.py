"""Heads on a frozen encoder: trained, selected on validation, tested once, stored as rows."""

from vireo.probe.run import probe, row_keys, validate

__all__ = ["probe", "row_keys", "validate"]
