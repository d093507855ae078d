"""Scheduled collections: the same people are asked each period, once. Entered from the command line and the pump, leaves through runs and intake."""
