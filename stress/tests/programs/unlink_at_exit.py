"""A lock for life; who leaves in good order removes the file. Whoever waited for it then locks a file that has no name any
more, and who comes makes another."""
import fcntl
import os
import signal
import sys

from protocol import path, say, serve

LOCK = path("lock")
lock = os.open(LOCK, os.O_RDWR | os.O_CREAT)
owned = False


def is_primary():
    global owned
    if not owned:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            owned = True
        except OSError:
            pass
    return owned


def leave(primary):
    if primary:
        os.unlink(LOCK)


def terminated(*_):
    say("left")
    leave(owned)
    sys.exit(0)


signal.signal(signal.SIGTERM, terminated)
serve(is_primary, leave)
