"""The ledger: the record of every payment, attempt, send and transition, in SQL."""
