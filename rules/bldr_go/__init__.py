"""Go: packages by the go tool, offline."""
