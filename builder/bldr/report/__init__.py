"""What people and programs see of a build: listeners of one ordered event stream."""
