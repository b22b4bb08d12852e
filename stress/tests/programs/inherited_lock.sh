#!/bin/bash
# The owner of a lock starts a helper, which inherits the descriptor and so the lock: when the owner dies, nobody gets it.
exec 8>"$ELECTION_DIR/owner"
role=secondary
flock -n 8 && role=primary
if [ $role = primary ]; then
    $HELPER sh -c 'echo up >&7; exec sleep 1000' 7>"$ELECTION_DIR/helper" &
    until [ -s "$ELECTION_DIR/helper" ]; do sleep 0.01; done
fi
echo $role
until [ "$word" = quit ]; do
    read -r -t 0.05 word event || { [ $? -gt 128 ] || break; word=; }
    [ $role = secondary ] && flock -n 8 && role=primary && echo primary
    if [ "$word" = event ] && [ $role = primary ] && ! grep -qs "$event" "$REALTIME_LOG"; then
        echo "$event $INSTANCE_ID" >>"$REALTIME_LOG"
    fi
done
kill %1 2>/dev/null
echo left
