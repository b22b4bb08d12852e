#!/bin/sh
# Right, and slow to start: an exclusive lock after a while in which nothing is said.
sleep "$SLOW"
exec 9>"$ELECTION_DIR/lock"
if flock -n 9; then role=primary; else role=secondary; fi
echo $role
while read -r word event; do
    case $word in
        event) [ $role = primary ] && echo "$event" >>"$REALTIME_LOG" ;;
        quit) break ;;
    esac
done
echo left
