"""A playbook that uses every key, and how tests read playbooks."""

from clbalance.errors import PlaybookError
from clbalance.model.playbook import Playbook
from clbalance.playbook.load import load_playbook

WHOLE = """\
name: everything
description: uses every key
hosts: '@compute'
pool: ['@compute', login1]
user: root
sudo: true
order: most
window: 4
canary: {nodes: 10%, soak: 5m, pause: true}
max_fail_percentage: 12.5
min_available: 80%
stop_after: 20
drain: {deadline: 2h, on_deadline: skip, reason: kernel upgrade}
health: {run: test -e /scratch/.ok, passes: 3, fails: 2, every: 5s, within: 10m}
vars: {package: linux-image-amd64, reboot: yes, mode: 012, start: 1:30, none: ""}
steps:
  - name: upgrade
    run: apt-get install -y "$VAR_package"
    register: apt
    retries: 3
    delay: 10s
    until: result.rc = 0 or attempt > 3
    timeout: 30m
    throttle: 2
  - run: {command: [echo, "{{ vars.package }}", 012], env: {LC_ALL: C}, chdir: /tmp, ok_codes: [0, 3]}
    ignore_errors: true
    idempotent: true
    user: alice
    sudo: false
  - copy: {src: [etc/, motd], dest: /etc/site, checksum: true}
  - fetch: {src: /var/log/apt/history.log, dest: logs}
  - drain: {deadline: 10}
  - wait_for: {port: 22, run: "true", where: r1m < 2, no_jobs: true, within: 5m, every: 1}
  - reboot: {within: 15m, run: reboot, even_with_jobs: true}
    when: vars.reboot = yes and apt.rc = 0 and mem > 1G
  - reboot:
    when: false
  - resume:
  - rebalance:
  - pause: 5
  - pause: {ask: "Go on?"}
  - assert: apt.out ~ "installed"
  - assert: {that: r1m < 4, message: it is busy}
  - notify: {url: "https://chat.example.org/hook", message: done, within: 3s}
  - notify: {run: [mail, -s, done, root]}
    run_once: true
  - run: {command: uptime, output: logs/uptime}
    delegate_to: localhost
    check_mode: false
  - resume: {earlier_runs: true}
    when: vars.reboot = no
rollback:
  - run: apt-mark unhold "$VAR_package"
"""


def read(text: str | bytes, **typed: str) -> Playbook:
    """The playbook of this text."""
    return load_playbook(text.encode() if isinstance(text, str) else text, "p.yml", typed)


def refused(text: str | bytes) -> tuple[str, str]:
    """The message and the hint of the error that this text must give."""
    try:
        read(text)
    except PlaybookError as error:
        return error.message, error.hint
    raise AssertionError("it was accepted")
