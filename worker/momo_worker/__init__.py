"""A worker that collects and pays out over MTN Mobile Money, and never pays twice."""
