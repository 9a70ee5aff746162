"""What may be replayed: each format a pure parser from lines to `Trace` or nodes; a bad line is a `TraceError`.

csv_files  jobs: job,submit_s,duration_s,cpus,mem_bytes,gpus,gpu_share,gpu_model
           nodes: name,cpus,mem_bytes,gpus,gpu_model,gpu_mem_bytes
swf        the Standard Workload Format of the Parallel Workloads Archive
history    the jobs that this submit host remembers
nodes      nodes with nothing on them, made up or taken from a sweep
"""
