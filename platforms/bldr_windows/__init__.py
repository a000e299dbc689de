"""The Windows platform: job objects, restricted tokens of low integrity, and what is read back of both."""
