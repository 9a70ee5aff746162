"""Admits jobs to a node, starts them, passes their output on and ends them, over standard input and output.

Enters: requests, one JSON object a line. Leaves: framed events, and job folders, leases and drain marks on disk. The
protocol, the processes and what each crash leaves behind are in docs/design/agent.md, jobs.md and leases.md.

It reaches a node as one text on the standard input of a shell and runs under `python3 -I -S`, 3.6 or later
(`clbalance/node/__init__.py` makes that text of these files). So it uses the standard library alone, imports at
start-up what every run needs and no more, has one namespace in which no name means two things, and nothing runs
here but definitions; types are quoted because 3.6 cannot evaluate them, and `typing` alone costs 4 ms.
"""
