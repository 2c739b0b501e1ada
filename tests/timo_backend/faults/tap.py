# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody between a client and a server: sees what they send, and can send it again."""

import socket
import threading
from contextlib import suppress


class Tap:
    """Passes on one connection after the other; a context manager.

    Args:
        endpoint: The server's, ``tcp://HOST:PORT``.
    """

    def __init__(self, endpoint):
        host, port = endpoint.removeprefix("tcp://").split(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent = []  # by the clients, as it came
        self._to_server = None
        threading.Thread(target=self._accept, daemon=True).start()

    def again(self, data):
        """Send the server something within the connection that there is."""
        self._to_server.sendall(data)

    def anew(self, pieces):
        """Send the server something on a connection of its own; what it answers until it hangs up."""
        with socket.create_connection(self._server) as other:
            with suppress(ConnectionError):
                for piece in pieces:
                    other.sendall(piece)
            return read_to_the_end(other)

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._to_server = socket.create_connection(self._server)
                for source, target, notes in (
                    (client, self._to_server, self.sent),
                    (self._to_server, client, []),
                ):
                    threading.Thread(target=pass_on, args=(source, target, notes), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def pass_on(source, target, notes):
    with suppress(OSError):
        while data := source.recv(65536):
            notes.append(data)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def read_to_the_end(connection):
    connection.settimeout(60)
    read = b""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            read += data
    return read
