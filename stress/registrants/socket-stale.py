#!/usr/bin/env python3
"""Wrong: a socket in a file. Whoever finds that nobody listens there takes it for a dead one's and removes it."""
import os
import socket
import sys

NAME = os.path.join(os.environ["ELECTION_DIR"], "socket")


def take():
    for _ in range(2):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.bind(NAME)
            server.listen()
            return server
        except OSError:
            pass
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(NAME)
            return None
        except ConnectionRefusedError:
            # Bound, and not yet listening: it looks the same.
            try:
                os.unlink(NAME)
            except FileNotFoundError:
                pass
        except OSError:
            pass
    return None


server = take()
print("primary" if server else "secondary", flush=True)
for line in sys.stdin:
    word, _, event = line.strip().partition(" ")
    if word == "quit":
        break
    if word == "event" and server:
        with open(os.environ["REALTIME_LOG"], "a") as log:
            log.write(f"{event}\n")
print("left", flush=True)
