#!/bin/bash
# flock -o keeps its descriptor to itself: when it is killed, the command that it runs goes on without the lock.
act() {
    while read -r word event; do
        case $word in
            event) grep -qs "$event" "$REALTIME_LOG" || echo "$event $INSTANCE_ID" >>"$REALTIME_LOG" ;;
            quit) break ;;
        esac
    done
}
if [ "$1" = act ]; then
    echo primary
    act
    exit 0
fi
until flock -n -o -E 75 "$ELECTION_DIR/owner" "$0" act; [ $? != 75 ]; do
    [ -z "$told" ] && told=1 && echo secondary
    read -r -t 0.05 word event
    [ "$word" = quit ] && break
done
