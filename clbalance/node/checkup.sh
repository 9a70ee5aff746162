# The check-up: prints raw facts about a node's set-up in named sections, framed and guarded as in probe.sh. The line
# with GUARD below is replaced by the probe's guard. Nothing is written on the node. CLBALANCE_ROOTFS moves /etc, /run
# and /var/lib/systemd. docs/design/doctor.md describes how the answer is used.
# If a start-up file of the login shell reads standard input, it takes the first lines. They may be lost, and the check-up
# tells whether the first one was.
clbalance_input=@NONCE@
:
:
:
(
  # The user's environment may have variables of these names.
  child= uid=
  exec </dev/null
  # These change what stat, grep and df print.
  unset GREP_OPTIONS BLOCK_SIZE
  LC_ALL=C
  session_path=$PATH
  PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
  export LC_ALL PATH
  m=@NONCE@
  nl='
'
  root=$CLBALANCE_ROOTFS

  # @GUARD@

  # -- what can hang

  # Looks only at the names that the agent tries: others may have been made by strangers, with any text in them.
  look_at() {
    case $1 in *"$nl"* | [!/]*) return 4 ;; esac
    [ -d "$1" ] || return 3
    command -v stat >/dev/null || return 127
    printf 'folder %s\n' "$1"
    [ -L "$1" ] && echo link
    [ -w "$1" ] && [ -x "$1" ] && echo writable
    run stat -L -c 'entry %f %u %n' -- "$1"
    folder=$1
    own=$1/clbalance-$uid
    set -- "$own"
    for number in 1 2 3 4 5 6 7 8 9; do set -- "$@" "$own-$number"; done
    run stat -c 'home %f %u %n' -- "$@"
    real=$(cd -P -- "$folder" && pwd -P)
    printf 'real %s\n' "$real"
    # Mount points with a blank are written in octal and never match: only the lab could have such a folder.
    while IFS= read -r line; do
      point=${line#* * * * }
      point=${point%% *}
      # On a line of its own: bash reads it differently inside the pattern.
      point=${point%/}
      case $real/ in "$point"/*) printf 'mount %s\n' "$line" ;; esac
    done <"${CLBALANCE_PROCFS:-/proc}/self/mountinfo"
    echo inodes
    run df -iP -- "$folder"
    echo space
    run df -kP -- "$folder"
  }

  named() {
    look_at "$CLBALANCE_NODE_DIR"
  }

  made() {
    look_at /var/lib/clbalance
  }

  usual() {
    look_at /var/tmp
  }

  # The agent is started by the python3 on the session's own PATH.
  python() {
    PATH=$session_path
    command -v python3 || return 3
    run python3 -I -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'
  }

  logind() {
    # sd_booted(3) uses the same test for systemd, and so for logind.
    [ -d "$root/run/systemd/system" ] || return 3
    name=${LOGNAME:-$USER}
    [ -n "$name" ] && [ -e "$root/var/lib/systemd/linger/$name" ] && echo linger
    run busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager \
      KillUserProcesses
  }

  # It may be on a mount whose server is gone.
  home() {
    [ -d "$HOME" ] || printf '%s\n' "$HOME"
  }

  # Works only as root.
  sshd_told() {
    run sshd -T
  }

  # -- what cannot hang

  told() {
    echo "$m + uid"
    echo "$uid"
    echo "$m - uid 0"

    echo "$m + input"
    [ "$clbalance_input" = "$m" ] && echo whole
    echo "$m - input 0"

    # In case logind does not answer: its files, then the drop-ins that override them; the last line counts.
    echo "$m + logind_conf"
    for folder in "$root/usr/lib/systemd" "$root/etc/systemd"; do
      grep -s -h -E '^ *KillUserProcesses *=' "$folder/logind.conf"
    done
    for folder in "$root/usr/lib/systemd" "$root/run/systemd" "$root/etc/systemd"; do
      grep -s -h -E '^ *KillUserProcesses *=' "$folder"/logind.conf.d/*.conf
    done
    echo "$m - logind_conf 0"

    # In case sshd does not answer: the first line counts, and the drop-in folder is included at the top.
    echo "$m + sshd_conf"
    grep -s -h -i -E '^[[:blank:]]*(MaxSessions|MaxStartups)[[:blank:]=]' \
      "$root"/etc/ssh/sshd_config.d/*.conf "$root/etc/ssh/sshd_config"
    echo "$m - sshd_conf 0"
  }

  echo "$nl$m begin"
  uid=$(id -u)
  set -- python logind home sshd_told
  if [ -n "$CLBALANCE_NODE_DIR" ]; then
    set -- named "$@"
  else
    set -- made usual "$@"
  fi
  ask "$@"
  echo "$m end"
) 2>/dev/null
unset clbalance_input
