"""How much, how long, how often."""

import errno
import os

PROTOCOL = 2

LINE_BYTES = 4 << 20  # the longest request; more is skipped and answered with an error
READ_BYTES = 64 << 10
CHUNK_BYTES = 48 << 10  # of output in one event: 64 KiB as base64
CONGESTED_BYTES = 256 << 10  # unsent events above which no output is read and no request accepted

POLL_SHORTEST_S = 0.02  # how soon a file that grew is looked at again
POLL_LONGEST_S = 0.25
LOG_TOLD_EVERY_S = 0.05  # of short tasks that follow each other

LEFTOVER_GRACE_S = 1.0  # between TERM and KILL for what outlives a job's first process
UNTIED_GRACE_S = 1.0  # the same for a tied job whose agent went away, and at a supervisor's SIGTERM
HANG_UP_PATIENCE_S = 5.0  # for a program whose terminal has gone (SIGHUP)
LISTEN_LONGEST_S = 3600.0  # poll(2) takes no more than 24 days
KILL_AGAIN_S = 0.05
KILL_PATIENCE_S = 5.0  # what KILL has not ended by then (D state, another uid) is reported and left
KILL_AT_ADMISSION_S = 1.0  # the same for what a dead supervisor has left, which keeps the next job waiting
CHECKPOINT_LOOK_S = 0.25  # between two looks at the file that a job writes when it is told to checkpoint
CHECKPOINT_STILL_S = 1.0  # so long it has not changed when it counts as written
PSS_WITHIN_S = 0.5  # for the exact memory of all processes of one job; the others of the agent's jobs wait for it
STOP_WITHIN_S = 1.0  # for one hunt after processes that fork while they are being stopped

WATCH_S = 0.5  # between two looks at the memory of a job that is limited
WATCH_AGAIN_S = 0.05  # after one that was too much: it must be so twice
WATCH_SHARE = 50  # of the time: looking takes at most a fiftieth of one cpu
FAR_BEYOND = 1.25  # of its limit: a job that has taken so much is given no time to end itself
SCOPE_WITHIN_S = 2.0  # for systemd-run, then the job is started without a scope
MOST_CPU_IDS = 8192  # in one node (NR_CPUS of any distribution)

TAU_S = 60.0  # the memory of r1m (kernel/sched/loadavg.c): so a lease comes into view
NOISE_CPUS = 0.5  # of load without a lease that every node has, so that all cpus of an idle one can be had
LOCK_WITHIN_S = 2.0  # for the node's lock; who holds it longer is named in the refusal
LOCK_AGAIN_MS = 10
LOOKS = 5  # at a node whose leases come and go
ADMIT_WITHIN_S = 5.0  # then the kernel ends a supervisor that hangs in somebody's file system, its locks with it
RESERVE_S = 30.0  # how long a lease is kept for a job that is not started

MARK_BYTES = 1024  # of a lease or a drain mark
MARKS_OF_ONE = 256  # leases of one owner that are looked at
DRAINS_OF_ONE = 17  # drain marks of one owner that are looked at: his own, and proposals
KEPT_OPEN = 512  # leases that are tested again under the lock; a further one counts if it held at the first look
LISTED = 4096  # entries of one folder, or homes in one base, that are looked at
HOMES_OF_ONE = 10  # as many names as there are for one user

REAP_S = 1.0  # for one answer; what is left then is asked for again
REAPED_AT_ONCE = 256  # findings in one answer
REAP_LISTED = 65536  # entries of one folder of our own
REAP_DEPTH = 64  # of folders in a job's folder
HALF_S = 60.0  # longer than anybody takes to complete a file
OPEN_CLAIM_S = 3600.0  # longer than any job is between its claim and its start, a waiting one included

KEPT_OUTPUT_BYTES = 1 << 20  # of an ended job that its user has seen; more is removed
ORDER_BYTES = 4096  # PIPE_BUF: what is written to a FIFO at once is never torn
WHY_CHARS = 200  # of the reason for an end: 12 bytes each at worst, so that both an order and `exit` hold it

EXIT_BYTES = 4096  # reserved at the start, so that a job that fills the disk can still leave its end behind
SQUATTED_NAMES = 10

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO put there must not hang us
WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
