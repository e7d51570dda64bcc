"""The answer as a page: one HTML file that works offline; figures and tables for a paper."""

from vireo.report.export import write_figures, write_tables
from vireo.report.page import write_report

__all__ = ["write_figures", "write_report", "write_tables"]
