"""Names of folders that several commands share."""

#: Below it lies everything that belongs to a simulated MTN, so that no real ledger ever holds a simulated payment.
SIMULATOR_FOLDER = "simulator"
