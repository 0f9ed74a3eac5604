#!/usr/bin/env python3
"""Runs after one another may get the same network namespace: never a trace of one another.

    tests/blackbox/network_test.py

AIRLOCK names the binary to test. What each test looks for is found where the launcher for tests has
the renewal of used namespaces switched off, or the test proves nothing.
"""

import json
import os
import pathlib
import sys
import unittest

import case
from service import Service
from support import airlock

ROUNDS = 12
# Which keeper a run gets depends on how fast the others tidy up; no more than these are kept.
ROUNDS_UNTIL_SEEN = 100

# Prints every trace: sockets, counters that are not zero, unix sockets with names.
LOOK = r"""
import json, os, re
def table(name):
    return open('/proc/net/' + name).read().splitlines()[1:]
def counts(name):
    lines = open('/proc/net/' + name).read().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        for key, value in zip(names.split()[1:], values.split()[1:]):
            if value != '0' and key not in FIXED:
                yield names.split()[0] + key + '=' + value
FIXED = {'Forwarding', 'DefaultTTL', 'RtoAlgorithm', 'RtoMin', 'RtoMax', 'MaxConn'}
traces = [line for name in ('tcp', 'tcp6', 'udp', 'udp6') for line in table(name)]
traces += [line for line in table('unix') if re.search('[@/]', line)]
traces += list(counts('snmp')) + list(counts('netstat'))
traces += [line for line in open('/proc/net/dev') if 'lo:' in line and re.search('[1-9]', line)]
traces += [line for line in open('/proc/net/snmp6') if line.split()[1] != '0']
if os.path.exists('/proc/net/ip6_flowlabel'):
    traces += table('ip6_flowlabel')
print(json.dumps([os.readlink('/proc/self/ns/net'), traces]))
"""

# A connection that stays in TIME_WAIT, datagrams to nobody, and a flow label that lingers.
TALK = r"""
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b'x' * 1000)
client.close()
peer.close()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))
"""

# A listening socket with a name, in flight to itself when its process ends.
LEAVE_NAME = r"""
import array, socket
a, b = socket.socketpair()
left = socket.socket(socket.AF_UNIX)
left.bind('\0left-behind')
left.listen()
a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                    array.array('i', [left.fileno(), a.fileno(), b.fileno()]))])
b.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                    array.array('i', [left.fileno(), a.fileno(), b.fileno()]))])
"""


def trace_runs(first, env=None, until=None):
    """[(namespace, traces)] of runs; before each of them another runs `first`.

    ROUNDS of them, or as many as it takes for `until` to hold for the list. Every other time two
    run `first`: where keepers take turns, one of them would else never do but the one thing.
    """
    seen = []
    with Service("--slots", "1", "--parked", "0", env=env) as service:
        for number in range(ROUNDS_UNTIL_SEEN if until else ROUNDS):
            for _ in range(1 + number % 2 if first else 0):
                status, result = service.run(language="python", code=first)
                assert (status, result["exit_code"]) == (200, 0), result
            status, result = service.run(language="python", code=LOOK)
            assert (status, result["exit_code"]) == (200, 0), result
            seen.append(json.loads(result["stdout"]))
            if until and until(seen):
                break
    return seen


class Network(unittest.TestCase):
    def renewal_switched_off(self):
        hooks = airlock.binary().parent / "airlock-jail-testhooks"
        if not pathlib.Path(hooks).exists():
            self.fail(f"{hooks} is not built")
        return {"AIRLOCK_JAIL": str(hooks), "AIRLOCK_JAIL_TEST_DISABLE": "network_renewal"}

    @unittest.skipUnless(os.geteuid() == 0, "ordinary users' sandboxes always make their own")
    def test_one_that_nobody_used_is_handed_on(self):
        def repeated(seen):
            return len({namespace for namespace, _ in seen}) < len(seen)

        seen = trace_runs(None, until=repeated)
        self.assertEqual([traces for _, traces in seen], [[]] * len(seen))
        self.assertTrue(repeated(seen))

    def test_nothing_of_a_connection_is_seen_by_the_next(self):
        self.assertEqual([traces for _, traces in trace_runs(TALK)], [[]] * ROUNDS)
        if os.geteuid() == 0:
            def found(seen):
                return any(traces for _, traces in seen)

            self.assertTrue(found(trace_runs(TALK, self.renewal_switched_off(), until=found)))

    def test_no_name_of_a_socket_is_seen_by_the_next(self):
        self.assertEqual([traces for _, traces in trace_runs(LEAVE_NAME)], [[]] * ROUNDS)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
