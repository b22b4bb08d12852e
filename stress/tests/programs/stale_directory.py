"""A lock directory that its owner touches again and again. Who finds it untouched for too long removes it and makes its own:
two who find that at once remove each other's."""
import os
import time

from protocol import path, serve

STALE = 0.3
LOCK = path("lock")
owned = False


def take():
    try:
        os.mkdir(LOCK)
        return True
    except FileExistsError:
        pass
    try:
        if time.time() - os.stat(LOCK).st_mtime <= STALE:
            return False
        os.rmdir(LOCK)
        os.mkdir(LOCK)
        return True
    except OSError:
        return False


def touch():
    try:
        os.utime(LOCK)
    except FileNotFoundError:
        pass


def is_primary():
    global owned
    if owned:
        touch()
    else:
        owned = take()
    return owned


serve(is_primary, every=STALE / 3)
