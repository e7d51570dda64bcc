"""The answer as a page: one HTML file that works offline, and static figures."""

from vireo.report.figures import write_figures
from vireo.report.page import write_report

__all__ = ["write_figures", "write_report"]
