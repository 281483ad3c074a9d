"""Reports over many jobs: throughput, queue and run times, failures, concurrency, attempts."""

from jobledger.infra.reports.asking import REPORTS, Report, report

__all__ = ["REPORTS", "Report", "report"]
