# The probe: prints raw facts about a node in named sections, between lines that start with the nonce.
# It is written to the standard input of an open `/bin/sh -s` (dash, bash, busybox, ksh), which is used further:
# so all happens in one subshell, nothing reads the session's input, and nothing that may hang holds its output.
# Nothing is parsed here. The design is in docs/design/probe.md. Comments and indents are not sent.
(
  # The user's environment may have variables of these names.
  load= child= pids=
  # Read first, so that the number of runnable processes does not include the probe's own.
  IFS= read -r load <"${CLBALANCE_PROCFS:-/proc}/loadavg"
  exec </dev/null
  # These change what grep and ls print.
  unset GREP_OPTIONS TIME_STYLE QUOTING_STYLE BLOCK_SIZE LS_BLOCK_SIZE
  LC_ALL=C
  # cron and ssh set a short PATH. The user's own entries stay first.
  session_path=$PATH
  PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
  export LC_ALL PATH
  m=@NONCE@
  owners=@OWNERS@
  nl='
'

  # -- a deadline for what can hang: section NAME is what function NAME writes within two seconds, or its own limit

  # Runs a command so that it can be killed while we wait for it.
  run() {
    "$@" &
    child=$!
    wait "$child"
  }

  # A process in D state cannot be killed. So nothing waits for `job`, and it writes only to a pipe of its own.
  # The alarm is killed only after a write to that pipe succeeded: so not after its time, when its pid may be reused.
  guarded() {
    limit=2
    @LIMITS@
    sleep "$limit" >/dev/null &
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
    if [ "$1" = gpu_log ]; then
      relay_wanted "$1"
      return
    fi
    while IFS= read -r line; do
      case $line in
        "$m status "*) echo "$m - $1 ${line##* }" ;;
        "$m over") break ;;
        *)
          printf '%s\n' "$line"
          [ "$1" != gpu_processes ] || note_pid "${line#*, }"
          ;;
      esac
    done
    [ "$1" != gpu_processes ] || lineage gpu_owners
  }

  # Of the 220 lines on each GPU, pass on those about its identity, its faults and the processes on its parts. By sed:
  # `read` takes a system call for each byte.
  relay_wanted() {
    set -- -e "s/^$m status \(.*\)/$m - $1 \1/p" -e "/^$m over/q"
    for wanted in '^GPU ' ^CUDA UUID 'MIG ' 'nstance ID' Index 'Memory Usage' ' Total ' ' Used ' \
      rrors Volatile Aggregate Uncorrectable Exceeded Unrepairable Double Pages Pending Remapp Temp \
      Reset Recovery Process Type ' Name ' 'Used GPU' ' Current '; do
      set -- "$@" -e "/$wanted/bp"
    done
    sed -n "$@" -e d -e :p -e p
  }

  # Starts the given functions in parallel, meanwhile prints what cannot hang (`told`), then prints their output.
  ask() {
    if [ $# -eq 0 ]; then
      told </dev/null
      return
    fi
    # No variables are set here: ksh runs the last part of a pipe in the same shell.
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

  # With what `test` says of the folder for jobs, and the room there. If that folder cannot be written to, a home of ours
  # in it will do. GNU's df tells inodes as well; where they are used up no file can be made.
  tmp() {
    folder=${TMPDIR:-/tmp}
    [ -d "$folder" ] || folder=/tmp
    set -- "$folder"
    if [ -n "$base" ]; then
      facts=-
      for fact in d r x w; do
        [ ! "-$fact" "$base" ] || facts=$facts$fact
      done
      [ -w "$base" ] || for home in "$base"/clbalance-[0-9]*; do
        if [ ! -L "$home" ] && [ -O "$home" ] && [ -w "$home" ]; then
          facts=${facts}h
          break
        fi
      done
      echo "jobs $facts $base"
      [ ! -d "$base" ] || set -- "$folder" "$base"
    fi
    printf '%s\n' "$folder"
    run df -k --output=size,used,avail,itotal,iavail -- "$@" || run df -kP -- "$@"
  }

  # With standard error, on which some drivers say that a device is lost.
  gpus() {
    run nvidia-smi \
      --query-gpu=uuid,index,name,memory.total,memory.used,utilization.gpu,temperature.gpu,driver_version \
      --format=csv,noheader,nounits 2>&1
  }

  gpu_processes() {
    run nvidia-smi --query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory --format=csv,noheader,nounits 2>&1
  }

  # Everything that the driver knows. An old driver leaves lines out here, but would reject a list of fields as a whole.
  gpu_log() {
    run nvidia-smi -q
  }

  gpu_parts() {
    run nvidia-smi -L
  }

  # dmesg prints the kernel's log and does not wait for more. Of each device and number the last line is sent, and the
  # last one that says Fatal: lines of other numbers, or of lesser errors, never push them out. Whatever is in the log, at
  # most 1,024 lines of 300 bytes are sent.
  gpu_faults() {
    { dmesg || echo 'not told'; } | grep -e 'NVRM: Xid' -e '^not told$' | awk '
      {
        key = $0
        sub(/^.*NVRM: Xid /, "", key)
        sub(/,.*/, "", key)
        sub(/ GPU-I:[^)]*/, "", key)
        if (($0 " ") ~ /[^A-Za-z]Fatal[^A-Za-z]/) key = key " Fatal"
        delete lines[last[key]]
        lines[last[key] = NR] = substr($0, 1, 300)
      }
      END {
        for (at = NR; at > 0; at--) if (at in lines && ++count > 1024) delete lines[at]
        for (at = 1; at <= NR; at++) if (at in lines) print lines[at]
      }'
  }

  rocm() {
    run rocm-smi --showid --showuniqueid --showproductname --showbus --showdriverversion --showmeminfo vram --showuse \
      --showtemp --showpids --json 2>&1
  }

  # The limits that root has set for users and groups, and who we are by the node's own names.
  limits() {
    at=$limits
    while [ -n "$at" ]; do
      [ ! -L "$at" ] || return 3
      set -- "$@" "$at"
      at=${at%/*}
    done
    [ -f "$limits" ] || return 3
    stat -c 'entry %f %u %n' -- "$@"
    echo user
    run id -un
    echo groups
    run id -Gn
    run id -G
    echo text
    # One byte more than the node reads, so that a longer file is told apart.
    head -c 65537 <"$limits" | grep -m 4096 ''
  }

  # Prints `mark DEVICE INODE UID MODE PATH` of each mark and each folder, then their content as `PATH:line`, so that
  # no content can pose as another file's. Marks above 1 KiB and a list of administrators above 64 KiB are not read.
  # Locks come last: every listed lease was locked before it was listed. The clock comes first: a proposal that is over
  # by then cannot become firm later.
  marks() {
    # Without these programs it would look as if there were no lease.
    for program in stat grep ${many:+find awk}; do
      command -v "$program" >/dev/null || return 127
    done
    IFS=$nl
    set -f
    if [ -n "$many" ]; then
      marks=$(in_node_folders choose_marks) || {
        status=$?
        echo "${marks##*"$nl"}"
        return "$status"
      }
    fi
    [ -z "$drained$many" ] || date '+clock %s'
    # shellcheck disable=SC2086 # split at newlines, on purpose
    {
      # 1: a file is gone, or this `stat` has no `-c` and prints nothing. More: it was ended.
      stat -c 'mark %d %i %u %f %s %n' -- $marks
      [ $? -gt 1 ] || echo all
      # Follows links: the file lies in root's folder, so a link there was made by root.
      [ -z "$admins" ] || stat -L -c 'mark %d %i %u %f %s %n' -- $admins
    } | {
      small=
      listed=
      inodes=
      drains=
      told=
      all=
      while IFS=' ' read -r word device inode uid mode size path; do
        if [ "$word" = all ]; then
          all=$told
          continue
        fi
        told=yes
        echo "mark $device $inode $uid $mode $path"
        case $mode in 8*) ;; *) continue ;; esac
        if [ "$path" = "$admins" ]; then
          [ "$size" -gt 65536 ] || listed=$path
          continue
        fi
        [ "$size" -gt 1024 ] || small=$small$path$nl
        case $path in
          */lease-*) inodes="$inodes|$inode" ;;
          */drain | */drain-*) drains=$drains$path$nl ;;
        esac
      done
      # The folders stay when a mark goes: a `stat` that told nothing has failed.
      [ -z "$marks" ] || [ -n "$all" ] || return 4
      if [ -n "$admins" ]; then
        echo "admins $admins"
        # Ours, too: an administrator may set any drain aside.
        # shellcheck disable=SC2086
        stat -c 'owner %u %U' -- /proc/self/. $drains
        [ -z "$listed" ] || grep -s '' /dev/null "$listed"
      fi
      # shellcheck disable=SC2086
      grep -s -m 32 '' /dev/null $small
      [ -n "$inodes" ] || return 0
      # Always from the real /proc: only that knows the locks. Only locks that begin at byte 0: so one line per lease,
      # even if its owner has split the lock into many. Five times: the kernel tells its list in pieces of 4 KiB, and
      # where locks go in between, others are left out.
      locks=/proc/locks
      grep -h -s -m 4096 -E ": POSIX +ADVISORY +WRITE .*:(${inodes#|}) 0 " $locks $locks $locks $locks $locks
      [ $? -gt 1 ] || echo 'locks told'
    }
  }

  # Prints the paths of the marks that are read, of all users, and of their folders. Fails with 3 if not all of them can
  # be counted; then the last line is `full UID WHAT`, with the user who has too many.
  choose_marks() {
    # The kernel ends a search that goes on after its reader is gone.
    ulimit -t 4
    homes=$(
      list -H "$@" -maxdepth 1 -type d -name 'clbalance-[0-9]*' ! -name '*[!0-9a-z-]*' | own_homes
    ) || {
      status=$?
      printf '%s\n' "$homes"
      return "$status"
    }
    # shellcheck disable=SC2086 # split at newlines, on purpose
    list /dev/null $homes -mindepth 1 -maxdepth 1 -type f ! -name '*[!A-Za-z0-9._-]*' | sift
  }

  # Prints `UID INODE PATH` of what `find` finds, at the end `all`. GNU's prints that itself, in half the time.
  list() {
    if find /dev/null -printf ''; then
      find "$@" -printf '%U %i %p\n'
    else
      # Without these options it would look as if nothing were found.
      [ "$(find -H /dev/null -mindepth 0 -maxdepth 0 -type c ! -name x -exec stat -c %n {} +)" = /dev/null ] || return
      find "$@" -exec stat -c '%u %i %n' {} +
    fi
    [ $? -gt 1 ] || echo all
  }

  # Prints the paths of the folders that belong to the user in their name.
  own_homes() {
    awk '
      $0 == "all" { all = 1; next }
      {
        name = $0
        sub(".*/clbalance-", "", name)
        sub("-[1-9]$", "", name)
      }
      name == $1 {
        sub("^[0-9]+ [0-9]+ ", "")
        print
        if (++homes > 4096) { full = "- homes"; exit }
        next
      }
      {
        ++squats[$1]
        if (++squatted > 131072) {
          for (uid in squats) if (squats[uid] > most) { most = squats[uid]; full = uid " squats" }
          exit
        }
      }
      END {
        if (full) print "full " full
        exit full ? 3 : !all
      }'
  }

  # Prints the paths of at most 17 drain marks in each home, of all held leases, and of their folders. Without
  # /proc/locks all leases count as held.
  sift() {
    awk '
      function keep() {
        sub("^[0-9]+ [0-9]+ ", "")
        print
        ++count
        sub("/[^/]*$", "")
        if (!($0 in homes)) print
        homes[$0]
      }
      BEGIN {
        # Five times, as in `find_marks`.
        for (look = 0; look < 5; look++) {
          while ((told = getline <"/proc/locks") > 0)
            if ($2 == "POSIX" && $4 == "WRITE") {
              sub(".*:", "", $6)
              held[$6]
            }
          close("/proc/locks")
        }
      }
      $0 == "all" { all = 1; next }
      ++files[$1] > 131072 { full = $1 " files"; exit }
      /\/lease-[^\/]*$/ && (told < 0 || $2 in held) {
        if (++leases[$1] > 1024) { full = $1 " leases"; exit }
        keep()
      }
      /\/drain(-[0-9a-f]+)?$/ {
        home = $0
        sub("^[0-9]+ [0-9]+ ", "", home)
        is_proposed = sub("/drain-[^/]*$", "", home)
        sub("/drain$", "", home)
        if (++drains[home] > 17) next
        if (is_proposed) proposed[home]
        else drain[home]
        keep()
      }
      END {
        # As in `find_marks`.
        for (home in proposed) if (!(home in drain)) print home "/drain"
        if (!full && count > 2048) full = "- marks"
        if (full) print "full " full
        exit full ? 3 : !all
      }'
  }

  # The programs of the site, if there are any (docs/design/plugins.md).
  @PROGRAMS@

  # -- what cannot hang

  # Adds the pid that a text begins with, before a comma, to `pids`, if it is asked whose processes are.
  note_pid() {
    [ -n "$owners" ] || return
    case ${1%%,*} in '' | *[!0-9]*) return ;; esac
    [ ${#pids} -gt 8000 ] || pids="$pids ${1%%,*}"
  }

  # Prints `PID PARENT UID NAME` of the processes in `pids` and of their ancestors: the supervisor of a job is above all
  # processes of the job. Reading `status` never waits for a process, unlike `cmdline`. Lab nodes make up some processes.
  lineage() {
    [ -n "$pids" ] || return
    echo "$m + $1"
    # shellcheck disable=SC2086 # numbers
    awk -v made_up="$CLBALANCE_PROCFS" '
      function look(file,   line) {
        name = parent = uid = ""
        while (uid == "" && (getline line <file) > 0) {
          if (line ~ /^Name:/) name = substr(line, 7)
          if (split(line, word) > 1 && word[1] == "PPid:") parent = word[2]
          if (word[1] == "Uid:") uid = word[2]
        }
        close(file)
        return uid != ""
      }
      BEGIN {
        for (at = 1; at < ARGC; at++) {
          pid = ARGV[at]
          for (depth = 0; depth < 32 && pid > 1 && !(pid in seen) && ++count <= 1024; depth++) {
            seen[pid]
            if (!look("/proc/" pid "/status") && !(made_up && look(made_up "/" pid "/status"))) break
            print pid, parent, uid, name
            pid = parent
          }
        }
      }' $pids
    echo "$m - $1 $?"
  }

  # One grep for all files. It skips the interrupts of /proc/stat (kilobytes) and takes only the names of single cpus.
  told() {
    sys=${CLBALANCE_SYSFS:-/sys}
    # The network interfaces that are devices, and which of them are members of another device. Only where there is none,
    # as in a container: which interfaces are built on others.
    set -- "$sys"/class/net/*/device/uevent
    if [ -e "$1" ]; then
      set -- "$@" "$sys"/class/net/*/master/device/uevent
    else
      set -- "$sys"/class/net/*/lower_*/ifindex
    fi
    # NUMA nodes of GPUs, and the processes on AMD's.
    if [ -n "$has_gpus" ]; then
      set -- "$@" "$sys"/bus/pci/drivers/nvidia/*/numa_node "$sys"/bus/pci/drivers/amdgpu/*/numa_node \
        "$sys"/class/kfd/kfd/proc/*/vram_*
    fi
    echo "$m + proc"
    if cd "${CLBALANCE_PROCFS:-/proc}"; then
      echo "loadavg:$load"
      # /proc/self/status gives the uid of the probe. A line of counters comes even if one of them is nonsense: left out,
      # it would look as if there were no such disk or interface.
      grep -s -o -E \
        -e '^Uid:.*' \
        -e '^cpu( .*|[0-9]+)' \
        -e '^[0-9]+[.][0-9]+ .*' \
        -e '^(Mem(Total|Available)|Swap(Total|Free)):.*' \
        -e '^some .*' \
        -e '^ *[^[:space:]:]+: *[^[:space:]]+( +[^ ]+){2,8}' \
        -e '^ *[0-9]+ +[0-9]+ [^ ]+( [^ ]+){0,7}' \
        -e '^[0-9a-f,-]+$' \
        -e '^DRIVER=.*' \
        uptime stat meminfo pressure/cpu pressure/memory pressure/io net/dev diskstats \
        sys/kernel/random/boot_id /proc/self/status "$sys"/devices/system/node/node*/cpulist "$@"
      # Only the first cpu: the kernel generates this file while it is read, cpu by cpu.
      while IFS= read -r line; do
        case $line in
          'model name'* | 'cpu model'* | cpu[!\ a-z0-9]*) printf 'cpuinfo:%s\n' "$line" && break ;;
          '') break ;;
        esac
      done <cpuinfo
    fi
    echo "$m - proc 0"
    if [ -n "$has_gpus" ]; then
      for process in "$sys"/class/kfd/kfd/proc/[0-9]*; do
        note_pid "${process##*/}"
      done
      lineage amd_owners
    fi

    echo "$m + logins"
    # Every login counted by `who` has a terminal: without terminals there is nothing to count.
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
    # The agent is started by the first python3 on the session's own PATH that can be executed. Its version is not asked
    # for, but an old one usually has its number in another name beside it.
    IFS=:
    set -f
    for folder in $session_path; do
      python=${folder:-.}/python3
      [ -e "$python" ] || continue
      if [ ! -f "$python" ] || [ ! -x "$python" ]; then
        echo "odd $python"
        continue
      fi
      echo "$python"
      [ -s "$python" ] || echo empty
      for minor in 0 1 2 3 4 5; do
        [ ! "$python" -ef "$python.$minor" ] || echo "old 3.$minor"
      done
      break
    done
    unset IFS
    set +f
    echo "$m - python 0"
  }

  # Calls the given function with the folders for the jobs of all users, and with single homes outside them. Sets `base`
  # to the folder in which the agent would keep a job.
  in_node_folders() {
    case $CLBALANCE_NODE_DIR in
      '')
        base=/var/tmp
        made=
        [ ! -d /var/lib/clbalance ] || made=$(stat -c '%u %a' /var/lib/clbalance)
        case $made in '0 755' | '0 1777') base=/var/lib/clbalance ;; esac
        # A folder that root has prepared: only users with a folder in it have jobs. So of /var/tmp, which anyone may
        # fill, only root's homes matter: a drain mark may be there from before.
        if [ "$made" = '0 755' ]; then
          set -- "$1" /var/lib/clbalance
          for number in '' -1 -2 -3 -4 -5 -6 -7 -8 -9; do
            home=/var/tmp/clbalance-0$number
            [ -L "$home" ] || [ ! -d "$home" ] || set -- "$@" "$home"
          done
          "$@"
        else
          "$1" /var/lib/clbalance /var/tmp
        fi
        ;;
      # Only the lab sets another folder, and never one like these.
      *:* | *"$nl"* | [!/]*) ;;
      *)
        base=$CLBALANCE_NODE_DIR
        "$1" "$base"
        ;;
    esac
  }

  # Sets `marks`, the paths of marks and of their folders, one a line; and `drained`, if one is a drain mark. Fails if
  # they are too many for this loop. Links are not followed, FIFOs are not opened, and odd names are skipped: they are
  # not ours.
  find_marks() {
    for folder; do
      for home in "$folder"/clbalance-[0-9]* "$folder"; do
        case ${home##*/} in clbalance-[0-9]*) ;; *) continue ;; esac
        [ $((names += 1)) -le 1024 ] || return 1
        if [ -L "$home" ] || [ ! -d "$home" ]; then continue; fi
        before=$count
        proposed=
        for file in "$home"/lease-* "$home"/drain-*[0-9a-f] "$home"/drain; do
          [ $((names += 1)) -le 1024 ] || return 1
          case ${file#"$folder"} in *[!A-Za-z0-9./_-]*) continue ;; esac
          # A proposal may become a mark meanwhile, so `drain` is listed beside it even if it does not exist yet.
          if [ -L "$file" ] || { [ ! -f "$file" ] && [ "$file" != "$home$proposed" ]; }; then continue; fi
          [ $((count += 1)) -le 256 ] || return 1
          marks=$marks$file$nl
          case $file in
            */drain) drained=yes ;;
            */drain-*) drained=yes proposed=/drain ;;
          esac
        done
        [ "$count" -eq "$before" ] || marks=$marks$home$nl
      done
    done
  }

  # Sets `admins` to the list of administrators, if it is needed.
  find_admins() {
    case $1 in *:* | *"$nl"* | [!/]*) return ;; esac
    if [ -n "$drained$many" ] && [ -f "$1" ]; then admins=$1; fi
  }

  echo "$nl$m begin"
  set -- tmp @SECTIONS@
  has_gpus=
  if command -v nvidia-smi >/dev/null; then
    set -- "$@" gpus gpu_processes gpu_log gpu_faults
    has_gpus=yes
    [ ! -p "${CUDA_MPS_PIPE_DIRECTORY:-/tmp/nvidia-mps}/control" ] || echo "$m - mps 0"
    for part in "${CLBALANCE_PROCFS:-/proc}"/driver/nvidia/capabilities/gpu*/mig/gi*; do
      [ ! -e "$part" ] || set -- "$@" gpu_parts
      break
    done
  else
    echo "$m - gpus absent"
  fi
  # ROCm's package installs it there, which is on no PATH.
  PATH=$PATH:/opt/rocm/bin
  if command -v rocm-smi >/dev/null; then
    set -- "$@" rocm
    has_gpus=yes
  fi
  many= marks= drained= admins= base=
  names=0
  count=0
  in_node_folders find_marks || many=yes
  find_admins "${CLBALANCE_ADMINS:-/etc/clbalance/admins}"
  limits=${CLBALANCE_LIMITS:-/etc/clbalance/limits.conf}
  if [ -e "$limits" ] || [ -L "$limits" ]; then set -- "$@" limits; fi
  if [ -n "$marks$many" ]; then
    # Last, so its output is read first: it may fill its pipe, and must not wait behind a function that hangs.
    set -- "$@" marks
  else
    echo "$m - marks 0"
  fi
  ask "$@"
  echo "$m end"
) 2>/dev/null
