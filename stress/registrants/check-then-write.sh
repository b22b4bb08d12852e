#!/bin/sh
# Wrong: between the look at the file and its creation, another instance can look as well.
file=$ELECTION_DIR/primary
if [ -e "$file" ]; then
    role=secondary
else
    echo "$INSTANCE_ID" >"$file"
    role=primary
fi
echo "$role"
while read -r word event; do
    case $word in
        event) [ "$role" = primary ] && echo "$event $INSTANCE_ID" >>"$REALTIME_LOG" ;;
        quit) break ;;
    esac
done
echo left
