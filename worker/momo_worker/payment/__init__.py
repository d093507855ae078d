"""Payments as pure values and decisions: imports nobody, touches nothing."""
