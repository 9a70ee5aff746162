"""What is measured: each section of `node/probe.sh` and the pure parser of what it printed.

    section        parsers in               reads
    proc           load host                /proc and /sys, one process
    logins         host                     who
    python         host                     command -v python3
    tmp            host                     df of the temporary folder
    gpus           gpu_nvidia               nvidia-smi --query-gpu
    gpu_processes  gpu_nvidia               nvidia-smi --query-compute-apps
    gpu_log        gpu_nvidia_log           nvidia-smi -q, some of its lines
    gpu_parts      gpu_nvidia               nvidia-smi -L, where there are MIG instances
    gpu_faults     gpu_devices              dmesg
    rocm           gpu_rocm                 rocm-smi --json
    marks          lease_files leases       files in the node folders, /proc/locks

`gpu_devices` puts those on GPUs together, whoever made them. `frame` carries the sections, `reading` puts the parts
together and compares two readings. A parser never raises and never trusts: what is missing, out of range or
nonsense is `Unknown(reason)`.
"""
