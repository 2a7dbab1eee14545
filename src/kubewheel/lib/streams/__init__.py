"""Several byte streams over one connection, as exec, attach and port-forward use them: SPDY/3.1 and WebSocket channels.

`spdy.py`, `channels.py`, `dictionary.py` are pure protocol: bytes in, events and bytes out. `upgrade.py` takes an HTTP
connection over; `remote_command.py` and `port_forward.py` are the server's side of the two services, for whoever has
commands to run or ports to connect to (a kubelet, a simulated node, the API server that passes them on);
`spdy_command.py` is the client's side towards a container runtime or a kubelet.
"""
