"""The command line: one command per file, each with the shape that third parties give theirs."""
