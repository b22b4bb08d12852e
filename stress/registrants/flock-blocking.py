#!/usr/bin/env python3
"""Right: flock(2), waited for."""
import fcntl
import os
import sys

LOG = os.environ["REALTIME_LOG"]
lock = open(os.path.join(os.environ["ELECTION_DIR"], "lock"), "a")
fcntl.flock(lock, fcntl.LOCK_EX)


def is_logged(event):
    try:
        with open(LOG) as log:
            return any(line.strip() == event for line in log)
    except FileNotFoundError:
        return False


print("primary", flush=True)
for line in sys.stdin:
    word, _, event = line.strip().partition(" ")
    if word == "quit":
        break
    if word == "event" and not is_logged(event):
        with open(LOG, "a") as log:
            log.write(f"{event}\n")
print("left", flush=True)
