"""A file with the owner's process ID. Who dies between making it and writing to it leaves it empty, and an empty one is taken
for one that is about to be written: for ever."""
import os

from protocol import path, serve

FILE = path("pid")
owned = False


def take():
    try:
        file = os.open(FILE, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        with open(FILE) as file:
            text = file.read()
        if not text:
            return False
        try:
            os.kill(int(text), 0)
            return False
        except ProcessLookupError:
            return claim(text)
    os.write(file, str(os.getpid()).encode())
    os.close(file)
    return True


def claim(dead):
    try:
        os.rename(FILE, path("dead-" + dead))
    except FileNotFoundError:
        return False
    return take()


def is_primary():
    global owned
    try:
        owned = owned or take()
    except FileNotFoundError:
        pass
    return owned


serve(is_primary)
