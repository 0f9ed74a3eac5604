"""A TCP proxy on loopback that changes one word on its way, as a broken network would."""

import socket
import threading


class TamperingProxy:
    """Replaces `word` by `other` (of the same length) in both directions; one of `with`."""

    def __init__(self, port, word, other):
        self.target, self.word, self.other = port, word, other
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.changed = 0

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while piece := source.recv(1 << 16):
                self.changed += piece.count(self.word)
                sink.sendall(piece.replace(self.word, self.other))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()
