"""Parsers of the probe's answer: one pure parser for each section that `node/probe.sh` prints.

    section        parsers in               reads
    proc           load host                /proc and /sys, one process
    logins         host                     who
    python         host                     command -v python3
    tmp            host                     df of the temporary folder
    gpus           gpu_nvidia               nvidia-smi --query-gpu
    gpu_processes  gpu_nvidia               nvidia-smi --query-compute-apps
    gpu_log        gpu_nvidia_log           nvidia-smi -q, some of its lines
    gpu_parts      gpu_nvidia               nvidia-smi -L, where there are MIG instances
    gpu_faults     gpu_xids                 dmesg
    rocm           gpu_rocm                 rocm-smi --json
    marks          lease_files leases       files in the node folders, /proc/locks

`gpu_devices` combines the GPU sections of all vendors. `frame` splits the answer into sections, `reading` combines the
parts and compares two readings. A parser never raises and trusts nothing: a value that is missing, out of range or
malformed is `Unknown(reason)`.
"""
