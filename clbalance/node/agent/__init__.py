"""Admits jobs to a node, starts them, passes their output on and ends them, over standard input and output.

Input: requests, one JSON object a line. Output: framed events, and job folders, leases and drain marks on disk. The
protocol, the processes and the effects of each crash are described in docs/design/agent.md, jobs.md and leases.md.

It is sent to a node as one text on the standard input of a shell and runs under `python3 -I -S`, 3.6 or later
(`clbalance/node/__init__.py` makes that text of these files). So it uses only the standard library and imports at
start-up only what every run needs. All files share one namespace, so a name has one meaning in all of them. Modules
contain only definitions. Types are quoted because 3.6 cannot evaluate them, and importing `typing` costs 4 ms.
"""
