"""What people sign and what their signatures prove: keys, statements, trees over rows. Pure: asks no ledger, reads no file."""
