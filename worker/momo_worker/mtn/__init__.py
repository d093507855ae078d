"""The border with MTN: requests out, verdicts in."""
