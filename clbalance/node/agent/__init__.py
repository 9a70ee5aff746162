"""Admits jobs to a node, starts them, passes their output on and ends them, over standard input and output.

Input: requests, one JSON object a line. Output: framed events, and job folders, leases and drain marks on disk. The
protocol, the processes and the effects of each crash are described in docs/design/agent.md, jobs.md and leases.md.

It is sent to a node as one text on the standard input of a shell and runs under `python3 -I -S`, 3.6 or later
(`clbalance/node/packing.py` makes that text of these files). So it uses only the standard library. A module is compiled
on the node when it is first imported, and few sessions need all. So what only some sessions need is imported in
functions, and by a supervisor before its job starts (docs/design/agent.md, "Modules"). Types are quoted because 3.6
cannot evaluate them, and importing `typing` costs 4 ms.
"""
