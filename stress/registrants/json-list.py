#!/usr/bin/env python3
"""Wrong: a list that each instance reads, adds itself to and writes back; whoever writes last removes the others."""
import json
import os
import sys
import time

LIST = os.path.join(os.environ["ELECTION_DIR"], "instances.json")
ID = os.environ["INSTANCE_ID"]
WAIT_S = 0.150
STALE_S = 30


def instances():
    try:
        with open(LIST) as file:
            return [one for one in json.load(file) if time.time() - one["at"] < STALE_S]
    except (OSError, ValueError):
        return []


known = instances() + [{"id": ID, "at": time.time()}]
with open(LIST, "w") as file:
    json.dump(known, file)
time.sleep(WAIT_S)
primary = min((one["id"] for one in instances()), default=ID) == ID
print("primary" if primary else "secondary", flush=True)
for line in sys.stdin:
    word, _, event = line.strip().partition(" ")
    if word == "quit":
        break
    if word == "event" and primary:
        with open(os.environ["REALTIME_LOG"], "a") as log:
            log.write(f"{event} {ID}\n")
print("left", flush=True)
