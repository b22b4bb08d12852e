#!/usr/bin/env python3
"""Wrong: a fcntl(2) lock, which is lost as soon as its process closes any descriptor of the file."""
import fcntl
import os
import sys

NAME = os.path.join(os.environ["ELECTION_DIR"], "lock")
lock = open(NAME, "a")
try:
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    primary = True
    with open(NAME) as looked_at:
        looked_at.read()
except OSError:
    primary = False
print("primary" if primary else "secondary", flush=True)
for line in sys.stdin:
    word, _, event = line.strip().partition(" ")
    if word == "quit":
        break
    if word == "event" and primary:
        with open(os.environ["REALTIME_LOG"], "a") as log:
            log.write(f"{event}\n")
print("left", flush=True)
