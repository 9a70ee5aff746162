"""What is measured: each section of `node/probe.sh` and the pure parser of what it printed.

    section        parsers                                              reads
    proc           loadavg stat cpus meminfo pressure traffic boot user /proc and /sys, one process
    logins         logins                                               who
    python         python                                               command -v python3
    tmp            tmp                                                  df of the temporary folder
    gpus           gpu                                                  nvidia-smi --query-gpu
    gpu_processes  gpu                                                  nvidia-smi --query-compute-apps
    gpu_log        nvidia_log                                           nvidia-smi -q, some of its lines
    gpu_parts      nvidia_parts                                         nvidia-smi -L, where there are MIG instances
    gpu_faults     xids                                                 dmesg
    rocm           rocm                                                 rocm-smi --json
    marks          marks locks claim leases drains                      files in the node folders, /proc/locks

`devices` puts those on GPUs together, whoever made them. `frame` carries the sections, `reading` puts the parts
together, `rates` compares two readings. A parser never raises and never trusts: what is missing, out of range or
nonsense is `Unknown(why)`.
"""
