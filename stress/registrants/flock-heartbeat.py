#!/usr/bin/env python3
"""Right: flock(2), beside a thread that touches a file of its own again and again."""
import fcntl
import os
import sys
import threading
import time

DIRECTORY = os.environ["ELECTION_DIR"]
lock = open(os.path.join(DIRECTORY, "lock"), "a")


def beat():
    while True:
        with open(os.path.join(DIRECTORY, os.environ["INSTANCE_ID"] + ".beat"), "w") as file:
            file.write(str(time.monotonic()))
        time.sleep(1)


try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    primary = True
except BlockingIOError:
    primary = False
threading.Thread(target=beat, daemon=True).start()
print("primary" if primary else "secondary", flush=True)
for line in sys.stdin:
    word, _, event = line.strip().partition(" ")
    if word == "quit":
        break
    if word == "event" and primary:
        with open(os.environ["REALTIME_LOG"], "a") as log:
            log.write(f"{event}\n")
print("left", flush=True)
