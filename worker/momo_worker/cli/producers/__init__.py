"""Other people's applications, as `momo demo` plays them: scripts that are run by their path and can't import this package."""
