"""The calendar of schedules: words, days and zones come in; periods, moments and hours of quiet go out. Pure: knows no ledger and asks no clock."""
