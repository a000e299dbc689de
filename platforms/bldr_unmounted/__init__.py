"""What platforms share that mount nothing: places on the host, copies of trees, children and their certain end.

A library and no plugin: it registers nothing. `places` can be imported on every system.
"""
