#!/bin/sh
# logins.sh N [OPTIONS]: the N best nodes, one on each line, as GNU parallel's `--sshloginfile` reads them.
#
#     logins.sh 4 -g compute --cpus 2 > logins
#     parallel --sshloginfile logins gzip ::: *.log
#
# OPTIONS are those of `clbalance pick`. parallel starts as many jobs on a node as that has cpus; `2/node7` means two.
set -eu
count=$1
shift
nodes=$(clbalance pick --pick "$count" "$@")
nodeset -e -S '\n' "$nodes"
