#!/bin/sh
# Prints the free space of the file system of a folder in per cent, and the number of folders in that folder.
folder=${1:-/tmp}
df -P -- "$folder" | awk 'NR == 2 { print "scratch_free", 100 - $5 }'
count=0
for path in "$folder"/*/; do
  [ ! -d "$path" ] || count=$((count + 1))
done
echo "scratch_users $count"
