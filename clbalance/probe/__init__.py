"""What is measured: each section of `node/probe.sh` and the pure parser of what it printed.

    section        parser                                              reads
    proc           loadavg stat cpus meminfo pressure traffic boot     /proc and /sys, one process
    logins         logins                                              who
    python         python                                              command -v python3
    tmp            tmp                                                 df of the temporary folder
    gpus           gpu                                                 nvidia-smi --query-gpu
    gpu_processes  gpu                                                 nvidia-smi --query-compute-apps
    marks          marks                                               leases and drain files in the node folders

`frame` carries the sections, `reading` puts the parts together, `rates` compares two readings. A parser never
raises and never trusts: what is missing, out of range or nonsense is `Unknown(why)`.
"""
