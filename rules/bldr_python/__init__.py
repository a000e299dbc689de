"""Python: libraries, zipapps, pytest, wheels."""
