"""The pump process: takes jobs in, releases what is due, relays results, rescues."""
