"""A TCP relay on loopback that counts the connections a client opens.

Knows nothing of HTTP: bytes go on as they come, both ways.
"""

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """Stands between a client and `base_url` (plain http); `connections` is how often it was dialled."""

    def __init__(self, base_url):
        target = urlsplit(base_url)
        self._target = (target.hostname, target.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{target.path}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # shutdown wakes the accepting thread; close alone would leave it waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            upstream = socket.create_connection(self._target)
            for source, sink in ((client, upstream), (upstream, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
