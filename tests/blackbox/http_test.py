#!/usr/bin/env python3
"""Bytes that once were too much for the daemon of `airlock serve`.

    tests/blackbox/http_test.py
"""

import socket
import sys
import time
import unittest

import case
from service import Service


class Pieces(unittest.TestCase):
    def test_an_empty_chunked_body_in_pieces_is_no_more_than_a_wrong_request(self):
        with Service() as service:
            daemon = service.children()["daemon"]
            head = (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            for pieces in ((b"0\r\n", b"\r", b"\n"), (b"0", b"\r\n\r", b"\n")):
                with service.raw() as connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection.sendall(head)
                    for piece in pieces:
                        time.sleep(0.1)
                        connection.sendall(piece)
                    self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 400"))
            self.assertEqual(service.children()["daemon"], daemon)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
