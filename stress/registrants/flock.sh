#!/bin/sh
# Right: the kernel keeps the lock for as long as the descriptor is open, and gives it up on death.
exec 9>>"$ELECTION_DIR/lock"
role=secondary
flock -n 9 && role=primary
echo "$role"
while read -r word event; do
    case $word in
        event)
            if [ "$role" = secondary ] && flock -n 9; then
                role=primary
                echo primary
            fi
            # A primary before this one may have written it.
            if [ "$role" = primary ] && ! grep -qsF "$event " "$REALTIME_LOG"; then
                echo "$event $INSTANCE_ID" >>"$REALTIME_LOG"
            fi
            ;;
        quit) break ;;
    esac
done
echo left
