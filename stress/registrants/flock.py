#!/usr/bin/env python3
"""Right: flock(2), held for as long as the process lives."""
import fcntl
import os
import sys

LOG = os.environ["REALTIME_LOG"]
ID = os.environ["INSTANCE_ID"]
lock = open(os.path.join(os.environ["ELECTION_DIR"], "lock"), "a")


def take():
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def is_logged(event):
    try:
        with open(LOG) as log:
            return any(line.split()[:1] == [event] for line in log)
    except FileNotFoundError:
        return False


primary = take()
print("primary" if primary else "secondary", flush=True)
for line in sys.stdin:
    word, _, event = line.strip().partition(" ")
    if word == "quit":
        break
    if word != "event":
        continue
    if not primary and take():
        primary = True
        print("primary", flush=True)
    # A primary before this one may have written it.
    if primary and not is_logged(event):
        with open(LOG, "a") as log:
            log.write(f"{event} {ID}\n")
print("left", flush=True)
