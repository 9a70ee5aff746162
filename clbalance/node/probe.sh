# What a node tells of itself: raw text in named sections, between lines that start with the nonce.
# Fed to the standard input of an open `/bin/sh -s` (dash, bash, busybox, ksh), which goes on afterwards: all
# happens in one subshell, nothing reads the session's input, and nothing that may hang holds its output.
# No parsing here. docs/design/probe.md says why it is built this way. Lines lose comment and indent when sent.
(
  # The user's environment may have variables of these names.
  load= child=
  # Before anything else runs: what is runnable now should not count the probe's own processes.
  IFS= read -r load <"${CLBALANCE_PROCFS:-/proc}/loadavg"
  exec </dev/null
  # These change what grep and ls print.
  unset GREP_OPTIONS TIME_STYLE QUOTING_STYLE BLOCK_SIZE LS_BLOCK_SIZE
  LC_ALL=C
  # cron and ssh give short ones; what the user put first stays first.
  session_path=$PATH
  PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
  export LC_ALL PATH
  m=@NONCE@
  nl='
'

  # -- a deadline for what can hang: section NAME is what function NAME writes within two seconds

  # Runs a command so that it can be killed while we wait for it.
  run() {
    "$@" &
    child=$!
    wait "$child"
  }

  # A process in D state cannot be killed: nobody waits for `job`, and it writes to a pipe of its own only.
  # The alarm is killed only by who could still write to that pipe, so never after its time, under a reused pid.
  guarded() {
    sleep 2 >/dev/null &
    alarm=$!
    {
      trap 'kill -9 "$child"; exit' TERM
      "$1"
      status=$?
      trap '' TERM
      echo "$m status $status" && kill -9 "$alarm"
    } &
    job=$!
    wait "$alarm"
    kill "$job"
    echo "$nl$m over"
  }

  # A section without its closing line was cut off.
  relay() {
    echo "$m + $1"
    while IFS= read -r line; do
      case $line in
        "$m status "*) echo "$m - $1 ${line##* }" ;;
        "$m over") break ;;
        *) printf '%s\n' "$line" ;;
      esac
    done
  }

  # Starts all that it is given, side by side, tells meanwhile what cannot hang, then collects.
  ask() {
    if [ $# -eq 0 ]; then
      told </dev/null
      return
    fi
    # No variables: ksh runs the end of a pipe in this very shell.
    guarded "$1" </dev/null | {
      ask_rest "$@"
      relay "$1"
    }
  }

  ask_rest() {
    shift
    ask "$@"
  }

  # -- what can hang

  tmp() {
    folder=${TMPDIR:-/tmp}
    [ -d "$folder" ] || folder=/tmp
    printf '%s\n' "$folder"
    run df -kP -- "$folder"
  }

  gpus() {
    run nvidia-smi \
      --query-gpu=uuid,index,name,memory.total,memory.used,utilization.gpu,temperature.gpu,driver_version \
      --format=csv,noheader,nounits
  }

  gpu_processes() {
    run nvidia-smi --query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory --format=csv,noheader,nounits
  }

  # `mark DEVICE INODE UID MODE PATH` of each and of the folders, then `PATH:line` of what they say: a text cannot
  # pose as another's. One that is longer than 1 KiB is not read. The locks come last: whoever is on the list
  # had his before.
  marks() {
    # Without these nothing would be listed, as if there were no lease.
    command -v stat >/dev/null && command -v grep >/dev/null || return 127
    IFS=$nl
    set -f
    if [ -n "$admins" ]; then
      echo "admins $admins"
      # shellcheck disable=SC2086 # split at newlines, on purpose
      stat -c 'owner %u %U' -- $drains
    fi
    # shellcheck disable=SC2086
    {
      stat -c 'mark %d %i %u %f %s %n' -- $marks
      # It lies in root's folder: a link there is root's.
      [ -z "$admins" ] || stat -L -c 'mark %d %i %u %f %s %n' -- $admins
    } | {
      small=
      inodes=
      while IFS=' ' read -r _ device inode uid mode size path; do
        echo "mark $device $inode $uid $mode $path"
        case $mode in 8*) ;; *) continue ;; esac
        [ "$size" -gt 1024 ] || small=$small$path$nl
        case $path in */lease-*) inodes="$inodes|$inode" ;; esac
      done
      # shellcheck disable=SC2086
      grep -s -m 64 '' /dev/null $small
      [ -n "$inodes" ] || return 0
      # Of the real /proc, always: no other one knows the locks.
      grep -s -m 1024 -E ": POSIX +ADVISORY +WRITE .*:(${inodes#|}) " /proc/locks
      [ $? -gt 1 ] || echo 'locks told'
    }
  }

  # -- what cannot hang

  # One process for all files. Of /proc/stat no interrupts (kilobytes) and of single cpus only the name.
  told() {
    echo "$m + proc"
    if cd "${CLBALANCE_PROCFS:-/proc}"; then
      echo "loadavg:$load"
      # The own status tells whom the probe runs as.
      grep -s -o -E \
        -e '^Uid:.*' \
        -e '^cpu( .*|[0-9]+)' \
        -e '^[0-9]+[.][0-9]+ .*' \
        -e '^(Mem(Total|Available)|Swap(Total|Free)):.*' \
        -e '^some .*' \
        -e '^ *[^ :]+: *[0-9]+( +[0-9]+){8}' \
        -e '^ *[0-9]+ +[0-9]+ [^ ]+( [0-9]+){7}' \
        -e '^[0-9a-f,-]+$' \
        uptime stat meminfo pressure/cpu pressure/memory pressure/io net/dev diskstats \
        sys/kernel/random/boot_id /proc/self/status "${CLBALANCE_SYSFS:-/sys}"/devices/system/node/node*/cpulist
      # The first cpu only: the kernel makes up this file while it is read, cpu by cpu.
      while IFS= read -r line; do
        case $line in
          'model name'* | 'cpu model'* | cpu[!\ a-z0-9]*) printf 'cpuinfo:%s\n' "$line" && break ;;
          '') break ;;
        esac
      done <cpuinfo
    fi
    echo "$m - proc 0"

    echo "$m + logins"
    # Who is logged in has a terminal: where there is none, nobody needs to be counted.
    set -- /dev/pts/[0-9]*
    if [ ! -e "$1" ]; then
      echo "$m - logins 0"
    elif [ -e /run/utmp ] || [ -e /var/run/utmp ]; then
      who
      echo "$m - logins $?"
    else
      echo "$m - logins absent"
    fi

    echo "$m + python"
    # The agent is started by the session's own.
    PATH=$session_path command -v python3
    echo "$m - python 0"
  }

  # Sets `marks`: one path a line, and the folders that hold them; `drains` likewise; and `admins`, where the list
  # of administrators decides anything. Links are never followed, a FIFO is never opened, odd names are not ours.
  find_marks() {
    if [ -n "$CLBALANCE_NODE_DIR" ]; then
      set -- "$CLBALANCE_NODE_DIR"
    else
      set -- /var/lib/clbalance /var/tmp
    fi
    count=0
    marks=
    drains=
    admins=
    for folder; do
      # Only the lab sets another folder, and not such a one.
      case $folder in *:* | *"$nl"* | [!/]*) continue ;; esac
      for home in "$folder"/clbalance-*; do
        if [ -L "$home" ] || [ ! -d "$home" ]; then continue; fi
        before=$count
        for file in "$home"/lease-* "$home"/drain; do
          case ${file#"$folder"} in *[!A-Za-z0-9./_-]*) continue ;; esac
          if [ -L "$file" ] || [ ! -f "$file" ]; then continue; fi
          count=$((count + 1))
          [ "$count" -le 256 ] || return 1
          marks=$marks$file$nl
          case $file in */drain) drains=$drains$file$nl ;; esac
        done
        [ "$count" -eq "$before" ] || marks=$marks$home$nl
      done
    done
    set -- "${CLBALANCE_ADMINS:-/etc/clbalance/admins}"
    case $1 in *:* | *"$nl"* | [!/]*) return 0 ;; esac
    if [ -n "$drains" ] && [ -f "$1" ]; then admins=$1; fi
    return 0
  }

  echo "$nl$m begin"
  set -- tmp
  if command -v nvidia-smi >/dev/null; then
    set -- "$@" gpus gpu_processes
  else
    echo "$m - gpus absent"
  fi
  if ! find_marks; then
    echo "$m - marks many"
  elif [ -n "$marks" ]; then
    # Last, so read first: it may fill its pipe, and must not wait there for one that hangs.
    set -- "$@" marks
  else
    echo "$m - marks 0"
  fi
  ask "$@"
  echo "$m end"
) 2>/dev/null
