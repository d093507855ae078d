"""What the commands do, one file a noun beside the file of its words; loaded when a command runs and not before."""
