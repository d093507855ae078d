"""A stateful fake of MTN Mobile Money over HTTP; shares no code with the client that it is there to catch out."""
