"""Threats to processes and privilege, and through the network.

Each call of `add` is one row of the threat table: threat, walls, binary, call (catalogue.Probe).
"""


def processes(add):
    own = "own pid namespace"
    add("Signal a host process", own, "processes", "kill {victim}")
    add("Signal everything at once", own, "processes", "kill-everyone")
    add(
        "End init of the sandbox",
        "pid 1 ignores what it does not handle",
        "processes",
        "disturb-init 15",
        control_call="kill {victim} 0",
    )
    add(
        "Stop init of the sandbox",
        "pid 1 ignores what it does not handle",
        "processes",
        "disturb-init 19",
        control_call="kill {victim} 0",
    )
    add("See processes of others", "own pid namespace, hidepid", "processes", "visible")
    add("Trace a host process", own + ", seccomp", "processes", "trace {victim}")
    add(
        "Trace init",
        "seccomp, init not dumpable",
        "processes",
        "trace 1",
        control_call="trace {victim}",
    )
    add("Read memory of a host process", own + ", seccomp", "processes", "read-memory {victim}")
    add(
        "Read memory of init",
        "seccomp, init not dumpable",
        "processes",
        "read-memory 1",
        control_call="read-memory {victim}",
    )
    add(
        "Write memory of init",
        "seccomp, init not dumpable",
        "processes",
        "write-memory 1",
        control_call="write-memory {victim}",
    )
    add(
        "Take a descriptor of init",
        "seccomp, init not dumpable",
        "processes",
        "pidfd 1",
        control_call="pidfd {victim}",
    )
    add("Take a descriptor of a host process", own, "processes", "pidfd {victim}")
    add(
        "Compare with init (kcmp)",
        "seccomp",
        "processes",
        "compare 1",
        control_call="compare {victim}",
    )
    add(
        "Read /proc/1: environment, memory, links",
        "init not dumpable, another uid",
        "processes",
        "read-process 1",
        control_call="read-process {victim}",
    )
    add(
        "Write /proc/1: memory, program, settings",
        "init not dumpable, another uid",
        "processes",
        "write-process 1",
        control_call="write-process {victim}",
    )
    add("Read or change limits of init", "another uid, seccomp", "processes", "limits-of 1")
    add(
        "Move init to other processors",
        "another uid, seccomp",
        "processes",
        "affinity-of 1",
        control_call="affinity-of {victim}",
    )
    add(
        "Move memory of init between nodes",
        "seccomp",
        "kernel",
        "move-pages 1",
        control_call="move-pages {victim}",
        may_lack="the kernel has no NUMA",
    )
    for call in ("setuid", "setgid", "setgroups"):
        add(f"Become root: {call}", "no capabilities, uid range", "processes", f"become {call}")
    add("Run as root or in a group of the host", "uid range", "processes", "root-ids")
    add("Hold a capability", "all sets emptied", "processes", "capabilities held")
    add(
        "Regain a capability from the bounding set",
        "bounding set emptied",
        "processes",
        "capabilities bounding",
    )
    add("Gain privilege with exec", "no_new_privs", "processes", "no-new-privs")
    add("Run without a system call filter", "seccomp", "processes", "seccomp-on")
    add("Take the processor: nice", "no capabilities", "processes", "nice-up")
    add("Take the processor: real time", "no capabilities, seccomp", "processes", "real-time")
    add(
        "Hide from the memory killer",
        "no capabilities",
        "processes",
        "oom-shield",
        may_lack="this machine withholds CAP_SYS_RESOURCE from its root",
    )
    add(
        "Raise a hard limit",
        "no capabilities",
        "processes",
        "raise-limit",
        may_lack="this machine withholds CAP_SYS_RESOURCE from its root",
    )
    add("Dump a core where the host collects them", "RLIMIT_CORE 0", "processes", "core-dump")
    add("Learn the host's name", "own uts namespace", "processes", "host-name {hostname}")
    add("Rename the host", "own uts namespace, seccomp", "processes", "rename-host", control="uts")
    add(
        "Read the environment of the caller",
        "environment made anew",
        "processes",
        "environment AIRLOCK_CANARY",
    )


def network(add):
    own = "own net namespace"
    add("TCP to the host's loopback", own, "network", "tcp 127.0.0.1 {port}")
    add(
        "TCP to the host's loopback, IPv6",
        own,
        "network",
        "tcp ::1 {port6}",
        may_lack="the host has no IPv6",
    )
    add("TCP to the host's address", own + ", no route", "network", "tcp {address} {port}")
    add("UDP to the host's loopback", own, "network", "udp 127.0.0.1 {udp_port}")
    add("UDP to the host's address", own + ", no route", "network", "udp {address} {udp_port}")
    add("Tunnel through DNS", own + ", no route", "network", "dns {address} {dns_port}")
    add(
        "Ping the host, ping socket",
        own + ", no route",
        "network",
        "icmp {address} dgram",
        control_call="icmp {address} raw",
    )
    add("Ping the host, raw socket", "no capabilities, seccomp", "network", "icmp {address} raw")
    add("Connect to an abstract socket", own, "network", "local stream {abstract}")
    add("Send to an abstract socket", own, "network", "local dgram {abstract_dgram}")
    add("Connect to a socket file of the host", "own root", "network", "local stream {path_socket}")
    add("List the host's local sockets", own, "network", "local-names {tag}")
    add("Netlink: routes", "seccomp", "network", "family 16 3 0")
    add("Netlink: packet filter", "seccomp", "network", "family 16 3 12")
    add(
        "Netlink: audit",
        "seccomp",
        "network",
        "family 16 3 9",
        may_lack="kernel without CONFIG_AUDIT",
    )
    add("Netlink: kernel events", "seccomp", "network", "family 16 2 15")
    add("Packet socket", "seccomp, no capabilities", "network", "family 17 3 768")
    add("Raw internet socket", "seccomp, no capabilities", "network", "family 2 3 255")
    add(
        "Talk to the hypervisor (vsock)",
        "seccomp",
        "network",
        "vsock",
        may_lack="kernel without vsock",
    )
    add(
        "Kernel cryptography socket (AF_ALG)",
        "seccomp",
        "network",
        "family 38 5 0",
        may_lack="kernel without CONFIG_CRYPTO_USER_API",
    )
    add(
        "Key management socket (AF_KEY)",
        "seccomp",
        "network",
        "family 15 3 2",
        may_lack="kernel without CONFIG_NET_KEY",
    )
    add(
        "XDP socket",
        "seccomp",
        "network",
        "family 44 3 0",
        may_lack="kernel without CONFIG_XDP_SOCKETS",
    )
    add("Any other socket family", "seccomp", "network", "any-family")
    add("Find an interface of the host", own, "network", "interfaces")
    add("Give an interface an address", "no capabilities", "network", "add-address", control="net")
    add("Listen on an address of the host", own, "network", "bind-host {address}")
