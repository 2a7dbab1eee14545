"""Several byte streams over one connection, as exec, attach and port-forward use them: SPDY/3.1 and WebSocket channels.

Pure protocol: bytes in, events and bytes out; what the streams mean is the caller's.
"""
