"""Bulk runs: a file of payments comes in, approved rows leave through intake, a report and a proof come out."""
