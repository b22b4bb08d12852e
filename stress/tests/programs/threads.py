"""Right: flock, by a thread of its own that looks at the lock often, beside one that does nothing but wake up."""
import fcntl
import os
import threading
import time

from protocol import path, serve

state = {"primary": False, "elected": threading.Event()}


def beat():
    while True:
        time.sleep(0.005)
        os.getppid()


def elect():
    for _ in range(15):
        os.path.exists(path("lock"))
    lock = os.open(path("lock"), os.O_RDWR | os.O_CREAT)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state["primary"] = True
        except OSError:
            pass
        state["elected"].set()
        time.sleep(0.02)


threading.Thread(target=beat, daemon=True).start()
threading.Thread(target=elect, daemon=True).start()


def is_primary():
    state["elected"].wait()
    return state["primary"]


serve(is_primary)
