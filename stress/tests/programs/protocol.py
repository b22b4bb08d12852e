"""The protocol of REGISTRANTS.md, for elections of a few lines."""
import os
import select
import sys

DIRECTORY, ID, LOG = (os.environ[name] for name in ("ELECTION_DIR", "INSTANCE_ID", "REALTIME_LOG"))


def path(name):
    return os.path.join(DIRECTORY, name)


def say(word):
    print(word, flush=True)


def serve(is_primary, leave=lambda primary: None, every=0.02):
    """Asks again and again whether this one is primary, writes events while it is, and leaves at `quit`. A successor looks
    into the log for what its predecessor has written."""
    said, unread = None, b""
    while True:
        primary = is_primary()
        if primary != said:
            said = primary
            say("primary" if primary else "secondary")
        if not select.select([0], [], [], every)[0]:
            continue
        read = os.read(0, 4096)
        *lines, unread = (unread + read).split(b"\n")
        for word, _, event in (line.decode().partition(" ") for line in lines):
            if word == "event" and primary:
                with open(LOG, "a+") as log:
                    log.seek(0)
                    if event not in log.read():
                        log.write(f"{event} {ID}\n")
        if not read or b"quit" in lines:
            say("left")
            leave(primary)
            sys.exit(0)
