"""Layouts of checkpoints: rows that describe them, and what finds a backbone by a row."""
