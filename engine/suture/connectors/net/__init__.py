"""What connectors of several protocols share: sockets, TLS, who may connect, room in memory."""
