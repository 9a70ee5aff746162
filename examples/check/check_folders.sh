#!/bin/sh
# A health check as Nagios calls it: 0 is well, 1 warns, 2 is critical, 3 is unknown.
[ $# -gt 0 ] || { echo "UNKNOWN - no folder named"; exit 3; }
fullest=0
for folder; do
  [ -d "$folder" ] && [ -w "$folder" ] || { echo "CRITICAL - $folder cannot be written to"; exit 2; }
  used=$(df -P -- "$folder" | awk 'NR == 2 { print $5 + 0 }')
  [ "${used:-0}" -le "$fullest" ] || fullest=$used
done
state=OK code=0
[ "$fullest" -lt 99 ] || state=WARNING code=1
echo "$state - $# folders can be written to|fullest=$fullest%;99;;0;100"
exit "$code"
