"""The macOS platform: Seatbelt profiles, made by pure code, and commands that `sandbox-exec` runs under them."""
