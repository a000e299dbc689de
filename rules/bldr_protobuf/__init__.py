"""Protocol buffers: generated sources for other languages."""
