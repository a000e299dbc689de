"""Protocol buffers: libraries of messages, and the sources that protoc makes of them for other languages."""
