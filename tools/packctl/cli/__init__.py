"""The command line: `packctl COMMAND`, one function a command, in a few modules by subject."""
