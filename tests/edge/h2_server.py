#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server of HTTP/2 frames over TLS, for what nghttpx never does: it answers every request with `{}`, except as told.

usage: h2_server.py PORT CERTIFICATE KEY MODE [NUMBER]
  resets N   a connection that was sent N RST_STREAM frames gets a GOAWAY and is closed, whatever its rate
  refuse     the first connection answers its first request and refuses all others (REFUSED_STREAM); it stays open
  goaway     each connection answers one request, waits for ten more, and says in a GOAWAY that it took four of those:
             these it answers; then it closes
  die        as goaway, but it answers none of the four and closes at once
  break      as die, with a reset of the connection in place of the GOAWAY
"""
import socket
import ssl
import struct
import sys
import threading

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
REFUSED_STREAM, ENHANCE_YOUR_CALM = 7, 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Connection:
    def __init__(self, sock, mode, number, first):
        self.sock, self.mode, self.number, self.first = sock, mode, number, first
        self.resets, self.streams, self.open = 0, [], True

    def send(self, kind, flags, stream, payload=b""):
        head = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream)
        self.sock.sendall(head + payload)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def answer(self, stream):
        self.send(HEADERS, END_HEADERS, stream, b"\x88")  # :status 200, from HPACK's own table
        self.send(DATA, END_STREAM, stream, b"{}")

    def goaway(self, last, code):
        self.send(GOAWAY, 0, 0, struct.pack(">II", last, code))

    def serve(self):
        assert self.read(len(PREFACE)) == PREFACE
        self.send(SETTINGS, 0, 0)
        self.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 24))
        while self.open:
            head = self.read(9)
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            self.read(int.from_bytes(head[:3], "big"))
            self.take(kind, flags, stream)

    def take(self, kind, flags, stream):
        if kind == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.send(PING, ACK, 0, bytes(8))
        elif kind == RST_STREAM:
            self.resets += 1
            if self.mode == "resets" and self.resets > self.number:
                self.goaway(self.streams[-1], ENHANCE_YOUR_CALM)
                self.open = False
        elif kind in (HEADERS, DATA) and flags & END_STREAM:
            self.streams.append(stream)
            self.request(stream)

    def request(self, stream):
        if self.mode == "resets" or len(self.streams) == 1 or (self.mode == "refuse" and not self.first):
            self.answer(stream)
        elif self.mode == "refuse":
            self.send(RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM))
        elif len(self.streams) == 11:
            self.leave(self.streams[1:5])

    def leave(self, taken):
        if self.mode == "break":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.goaway(taken[-1], 0)
        for stream in taken if self.mode == "goaway" else ():
            self.answer(stream)
        self.open = False


def run(sock, context, served, *how):
    """served: the connections whose handshake was made, so that a look at the port is none."""
    try:
        with context.wrap_socket(sock, server_side=True) as wrapped:
            served.append(wrapped)
            Connection(wrapped, *how, served[0] is wrapped).serve()
    except (EOFError, OSError):
        pass


def main():
    port, certificate, key, mode = int(sys.argv[1]), *sys.argv[2:5]
    number = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", port), backlog=100)
    served = []
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=run, args=(sock, context, served, mode, number), daemon=True).start()


main()
