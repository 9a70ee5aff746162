"""Readers of traces for `replay`: pure parsers from lines to a `Trace` or to nodes; a bad line is a `TraceError`.

csv_files  jobs: job,submit_s,duration_s,cpus,mem_bytes,gpus,gpu_share,gpu_model
           nodes: name,cpus,mem_bytes,gpus,gpu_model,gpu_mem_bytes
swf        the Standard Workload Format of the Parallel Workloads Archive
history    the jobs in the journal of this submit host
nodes      empty nodes, made up or taken from a sweep
"""
