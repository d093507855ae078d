"""The rooms of the corridor; each takes ids, does one thing, and writes the ledger."""
