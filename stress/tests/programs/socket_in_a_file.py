"""A socket in the directory. Who is refused by it takes it for one that a dead owner left, and removes it: one that is bound
and does not listen yet refuses as well."""
import os
import socket

from protocol import path, serve

NAME = path("socket")
owned = None


def take():
    global owned
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(NAME)
        server.listen()
        owned = server
    except OSError:
        server.close()
    return owned is not None


def elect():
    if take():
        return True
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(NAME)
        return False
    except OSError:
        pass
    finally:
        client.close()
    try:
        os.unlink(NAME)
    except OSError:
        pass
    return take()


elected = elect()
serve(lambda: elected)
