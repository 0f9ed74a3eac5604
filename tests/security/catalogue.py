"""Every threat with its probe: what is tried, how the control shows that it can work, what stops it.

The table of docs/threat-model.md is printed from here (`run.py --table`), and a test compares the two.
"""

import dataclasses

ALL = "v1 v2 rootless"


@dataclasses.dataclass(frozen=True)
class Probe:
    id: str
    threat: str
    walls: str                     # what stops it, the first wall first
    domain: str                    # which binary
    call: tuple                    # the probe's name and arguments inside
    control: str = "root"          # how the control runs: root, or a list for control_in
    control_call: tuple = ()       # where the control needs other arguments
    options: tuple = ()            # of airlock run
    kind: str = "line"             # line, outcome, collect, or the name of a check of its own
    outcomes: tuple = ("exited",)  # any of these
    may_lack: str = ""             # why this control may find nothing to attack on some hosts
    tested_on: str = ALL

    def name(self):
        return " ".join((self.domain, *self.call))


class _Table:
    def __init__(self):
        self.probes = []

    def add(self, threat, walls, domain, call, **more):
        number = len(self.probes) + 1
        more.setdefault("control", "root")
        self.probes.append(Probe(f"T-{number:02}", threat, walls, domain, tuple(call.split()), **{
            key: tuple(value.split()) if key in ("control_call", "options", "outcomes") else value
            for key, value in more.items()}))


def _files(add):
    view = "own root, pivot_root"
    add("Read the host's password hashes", view, "files", "shadow")
    add("List root's home", view, "files", "list /root")
    add("List the homes of users", view, "files", "list /home")
    add("List a folder of the host by its name", view, "files", "list {repository}")
    add("Read files in the host's shared temporary places", view, "files",
        "read-any {canary} /tmp/{tag} /var/tmp/{tag} /dev/shm/{tag} /run/{tag}")
    add("Reach the host's root through /proc/1/root", "own pid namespace, init of another uid", "files",
        "through-proc-root 1 {canary}", control_call="through-proc-root {victim} {canary}")
    add("Climb out of the root with ..", "pivot_root, old root detached", "files", "dotdot {canary}")
    add("Escape with chroot", "no capabilities, seccomp", "files", "chroot-escape {canary}", control="mnt")
    add("Open by file handle", "no capabilities, seccomp", "files", "open-by-handle")
    add("Learn the users of the host", "own /etc", "files", "contains /etc/passwd {host_user}:")
    add("Learn the mounts of the host", "own mount namespace", "files",
        "contains /proc/self/mountinfo {host_mount_arg}")
    add("Learn the identity of the host from /etc", "own /etc", "files",
        "contains /etc/machine-id {machine_id}", may_lack="the host has no machine-id")
    add("Write into /usr", "read-only mount", "files", "create-in /usr")
    add("Write into /etc", "read-only mount", "files", "open-write /etc/passwd /etc/ld.so.cache /etc/hosts")
    add("Write into the root directory", "read-only root", "files", "create-in /")
    add("Change the inputs", "read-only mount", "files", "create-in /input", control_call="create-in .")
    add("Make a block device", "no capabilities, nodev, seccomp", "files", "make-node block")
    add("Make a character device", "no capabilities, nodev, seccomp", "files", "make-node char")
    add("Find devices in /dev", "minimal /dev", "files", "devices")
    add("Open memory, disks, kernel devices", "minimal /dev", "files", "hardware")
    add("Become root through a setuid file", "no_new_privs, nosuid, uid range", "files", "setuid-exec",
        control="uid=1000", control_call="setuid-exec {setuid}")
    add("Find a mount that honours setuid", "nosuid on every mount", "files", "nosuid")
    add("Give a file capabilities", "no capabilities", "files", "file-capability")
    add("Give a file to root", "no capabilities", "files", "own-as-root")
    add("Make a file that cannot be removed", "no capabilities", "files", "immutable",
        may_lack="the file system of the temporary folder has no such flag")
    add("Watch all opens with fanotify", "no capabilities, seccomp", "files", "fanotify")


def _mounts(add):
    for kind in ("tmpfs", "proc", "bind", "cgroup2"):
        add(f"Mount: {kind}", "no capabilities, seccomp", "mounts", f"mount {kind}", control="mnt,pid")
    add("Make a read-only mount writable", "seccomp, locked mounts", "mounts", "remount", control="mnt")
    add("Uncover what a mount hides", "seccomp, locked mounts", "mounts", "unmount", control="mnt")
    add("Change the root with pivot_root", "seccomp", "mounts", "pivot-root", control="mnt")
    for call in ("fsopen", "open_tree", "move_mount", "mount_setattr"):
        add(f"New mount interface: {call}", "seccomp", "mounts", f"mount-api {call}", control="mnt")
    add("List mounts by identity", "seccomp", "mounts", "list-mounts",
        may_lack="kernel older than 6.8 has no listmount")
    for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"):
        add(f"New namespace with unshare: {kind}", "seccomp", "mounts", f"unshare {kind}")
    add("New namespace with clone", "seccomp (flags of clone)", "mounts", "clone-new clone")
    add("New namespace with clone3", "seccomp (ENOSYS)", "mounts", "clone-new clone3")
    add("Join the namespaces of init", "seccomp, init of another uid", "mounts", "join 1",
        control_call="join {victim}")
    add("Join the namespaces of a host process", "own pid namespace, seccomp", "mounts", "join {victim}")
    add("Read kernel secrets in /proc", "masked paths", "mounts", "proc-masked")
    add("Learn the host's disks from /proc", "masked paths", "mounts",
        "any-readable /proc/partitions /proc/diskstats")
    add("Write kernel settings in /proc/sys", "read-only /proc, uid range", "mounts", "writable-below /proc/sys")
    add("Trigger kernel actions in /proc", "read-only /proc, uid range", "files",
        "open-write /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/mtrr /proc/acpi/wakeup "
        "/proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches")
    add("Write into /sys", "no /sys", "mounts", "writable-below /sys")
    add("Learn the hardware from /sys", "no /sys", "files", "list /sys/class/block")
    add("Move to another control group", "own cgroup namespace, no /sys", "mounts", "cgroup-write")
    add("Learn the host's control groups", "own cgroup namespace", "mounts", "cgroup-path",
        may_lack="the tests run in the root control group")


def _processes(add):
    own = "own pid namespace"
    add("Signal a host process", own, "processes", "kill {victim}")
    add("Signal everything at once", own, "processes", "kill-everyone")
    add("End init of the sandbox", "init of another uid", "processes", "kill 1 15",
        control_call="kill {victim} 0")
    add("Stop init of the sandbox", "init of another uid", "processes", "kill 1 19",
        control_call="kill {victim} 0")
    add("See processes of others", "own pid namespace, hidepid", "processes", "visible")
    add("Trace a host process", own + ", seccomp", "processes", "trace {victim}")
    add("Trace init", "seccomp, init not dumpable", "processes", "trace 1", control_call="trace {victim}")
    add("Read memory of a host process", own + ", seccomp", "processes", "read-memory {victim}")
    add("Read memory of init", "seccomp, init not dumpable", "processes", "read-memory 1",
        control_call="read-memory {victim}")
    add("Write memory of init", "seccomp, init not dumpable", "processes", "write-memory 1",
        control_call="write-memory {victim}")
    add("Take a descriptor of init", "seccomp, init not dumpable", "processes", "pidfd 1",
        control_call="pidfd {victim}")
    add("Take a descriptor of a host process", own, "processes", "pidfd {victim}")
    add("Compare with init (kcmp)", "seccomp", "processes", "compare 1", control_call="compare {victim}")
    add("Read /proc/1: environment, memory, links", "init not dumpable, another uid", "processes",
        "read-process 1", control_call="read-process {victim}")
    add("Write /proc/1: memory, program, settings", "init not dumpable, another uid", "processes",
        "write-process 1", control_call="write-process {victim}")
    add("Read or change limits of init", "another uid, seccomp", "processes", "limits-of 1")
    add("Move init to other processors", "another uid, seccomp", "processes", "affinity-of 1",
        control_call="affinity-of {victim}")
    add("Move memory of init between nodes", "seccomp", "kernel", "move-pages 1",
        control_call="move-pages {victim}", may_lack="the kernel has no NUMA")
    for call in ("setuid", "setgid", "setgroups"):
        add(f"Become root: {call}", "no capabilities, uid range", "processes", f"become {call}")
    add("Run as root or in a group of the host", "uid range", "processes", "root-ids")
    add("Hold a capability", "all sets emptied", "processes", "capabilities held")
    add("Regain a capability from the bounding set", "bounding set emptied", "processes",
        "capabilities bounding")
    add("Gain privilege with exec", "no_new_privs", "processes", "no-new-privs")
    add("Run without a system call filter", "seccomp", "processes", "seccomp-on")
    add("Take the processor: nice", "no capabilities", "processes", "nice-up")
    add("Take the processor: real time", "no capabilities, seccomp", "processes", "real-time")
    add("Hide from the memory killer", "no capabilities", "processes", "oom-shield",
        may_lack="this machine withholds CAP_SYS_RESOURCE from its root")
    add("Raise a hard limit", "no capabilities", "processes", "raise-limit",
        may_lack="this machine withholds CAP_SYS_RESOURCE from its root")
    add("Dump a core where the host collects them", "RLIMIT_CORE 0", "processes", "core-dump")
    add("Learn the host's name", "own uts namespace", "processes", "host-name {hostname}")
    add("Rename the host", "own uts namespace, seccomp", "processes", "rename-host", control="uts")
    add("Read the environment of the caller", "environment made anew", "processes",
        "environment AIRLOCK_CANARY")


def _network(add):
    own = "own net namespace"
    add("TCP to the host's loopback", own, "network", "tcp 127.0.0.1 {port}")
    add("TCP to the host's loopback, IPv6", own, "network", "tcp ::1 {port6}",
        may_lack="the host has no IPv6")
    add("TCP to the host's address", own + ", no route", "network", "tcp {address} {port}")
    add("UDP to the host's loopback", own, "network", "udp 127.0.0.1 {udp_port}")
    add("UDP to the host's address", own + ", no route", "network", "udp {address} {udp_port}")
    add("Tunnel through DNS", own + ", no route", "network", "dns {address} {dns_port}")
    add("Ping the host, ping socket", own + ", no route", "network", "icmp {address} dgram",
        control_call="icmp {address} raw")
    add("Ping the host, raw socket", "no capabilities, seccomp", "network", "icmp {address} raw")
    add("Connect to an abstract socket", own, "network", "local stream {abstract}")
    add("Send to an abstract socket", own, "network", "local dgram {abstract_dgram}")
    add("Connect to a socket file of the host", "own root", "network", "local stream {path_socket}")
    add("List the host's local sockets", own, "network", "local-names {tag}")
    add("Netlink: routes", "seccomp", "network", "family 16 3 0")
    add("Netlink: packet filter", "seccomp", "network", "family 16 3 12")
    add("Netlink: audit", "seccomp", "network", "family 16 3 9",
        may_lack="kernel without CONFIG_AUDIT")
    add("Netlink: kernel events", "seccomp", "network", "family 16 2 15")
    add("Packet socket", "seccomp, no capabilities", "network", "family 17 3 768")
    add("Raw internet socket", "seccomp, no capabilities", "network", "family 2 3 255")
    add("Talk to the hypervisor (vsock)", "seccomp", "network", "vsock",
        may_lack="kernel without vsock")
    add("Kernel cryptography socket (AF_ALG)", "seccomp", "network", "family 38 5 0",
        may_lack="kernel without CONFIG_CRYPTO_USER_API")
    add("Key management socket (AF_KEY)", "seccomp", "network", "family 15 3 2",
        may_lack="kernel without CONFIG_NET_KEY")
    add("XDP socket", "seccomp", "network", "family 44 3 0", may_lack="kernel without CONFIG_XDP_SOCKETS")
    add("Any other socket family", "seccomp", "network", "any-family")
    add("Find an interface of the host", own, "network", "interfaces")
    add("Give an interface an address", "no capabilities", "network", "add-address", control="net")
    add("Listen on an address of the host", own, "network", "bind-host {address}")


def _kernel(add):
    walls = "seccomp"
    add("io_uring", walls, "kernel", "io-uring")
    add("BPF map", walls, "kernel", "bpf map")
    add("BPF program", walls, "kernel", "bpf program")
    add("Performance counters", walls, "kernel", "perf")
    add("Performance counters of itself only", walls, "kernel", "perf self")
    add("userfaultfd", walls, "kernel", "user-fault")
    add("userfaultfd, user mode only", walls, "kernel", "user-fault user")
    add("Add a key", walls, "kernel", "add-key")
    add("Use a key ring", walls, "kernel", "key-control")
    add("Find a key of the host", walls + ", own user namespace", "kernel", "find-key {tag}")
    add("Load another kernel", walls, "kernel", "kexec", may_lack="kernel without CONFIG_KEXEC")
    add("Load another kernel from a file", walls, "kernel", "kexec-file",
        may_lack="kernel without CONFIG_KEXEC_FILE")
    for call in ("init", "finit", "delete"):
        add(f"Kernel modules: {call}_module", walls, "kernel", f"module {call}",
            may_lack="kernel without CONFIG_MODULES")
    add("Restart the machine", walls + ", no capabilities", "kernel", "reboot")
    add("Swap on", walls, "kernel", "swap on")
    add("Swap off", walls, "kernel", "swap off")
    add("Process accounting", walls, "kernel", "account")
    add("Disk quotas", walls, "kernel", "quota")
    add("Set the clock", walls + ", no capabilities", "kernel", "set-clock settimeofday")
    add("Bend the clock", walls + ", no capabilities", "kernel", "set-clock adjtimex")
    add("Set the clock to now", walls + ", no capabilities", "kernel", "set-clock clock_settime",
        control_call="set-clock settimeofday")
    add("Hardware ports: iopl", walls, "kernel", "ports iopl", may_lack="kernel without CONFIG_X86_IOPL_IOPERM")
    add("Hardware ports: ioperm", walls, "kernel", "ports ioperm",
        may_lack="kernel without CONFIG_X86_IOPL_IOPERM")
    add("Own segments (modify_ldt)", walls, "kernel", "segment")
    add("Weaken address randomisation", walls, "kernel", "persona")
    add("Read the kernel log", walls + ", no capabilities", "kernel", "kernel-log")
    add("System calls of i386", "seccomp kills", "kernel", "foreign int80",
        outcomes="exited denied signalled")
    add("System calls of x32", "seccomp kills", "kernel", "foreign x32",
        outcomes="exited denied signalled", may_lack="kernel without CONFIG_X86_X32_ABI")
    add("Run a program from memory with more rights", "no_new_privs, inherited seccomp", "kernel",
        "memory-exec")
    add("System calls newer than the policy", "seccomp (ENOSYS)", "kernel", "newest",
        may_lack="kernel older than these calls")


def _ipc(add):
    own = "own ipc namespace"
    for kind in ("shm", "sem", "msg"):
        add(f"Find System V objects: {kind}", own, "ipc", f"system-v {kind} {{key}}")
    add("Open a POSIX queue of the host", own, "ipc", "queue {tag}")
    add("Open shared memory of the host", "own /dev/shm", "ipc", "shared {tag}")
    add("See a lock of another sandbox", "own inode of each shared file", "ipc", "lock {shared_file}",
        kind="lock_across")
    add("See a record lock of another sandbox", "own inode of each shared file", "ipc",
        "record-lock {shared_file}", kind="record_lock_across")
    add("See which programs the host uses", "own inode of each shared file", "ipc", "watch {shared_file}",
        kind="watch_host")
    add("Hold a lease on a file of the host", "no capabilities", "ipc", "lease {shared_file}")


def _resources(add):
    add("Fork bomb, bounded", "pids limit", "resources", "forks 500", options="--pids 64",
        outcomes="exited process_limit")
    add("Fork bomb, endless", "pids limit, whole group killed", "resources", "fork-endless",
        control_call="forks 500", kind="outcome", options="--pids 64 --timeout 2s --cpu-time 30s",
        outcomes="wall_timeout process_limit")
    add("Thread bomb", "pids limit", "resources", "threads 500", options="--pids 64",
        outcomes="exited process_limit")
    add("Zombie farm", "pids limit", "resources", "zombies 500", options="--pids 64",
        outcomes="exited process_limit")
    for kind in ("anonymous", "shared", "memfd", "system-v"):
        add(f"Memory bomb: {kind}", "memory limit", "resources", f"memory {kind} 134217728",
            options="--memory 64m", outcomes="out_of_memory exited")
    for kind in ("pipes", "sockets"):
        add(f"Memory bomb: buffers of {kind}", "memory limit (kernel memory)", "resources",
            f"buffers {kind} 134217728", control_call=f"buffers {kind} 33554432",
            options="--memory 32m", outcomes="out_of_memory exited")
    add("Memory bomb: page cache", "memory limit on the group", "resources",
        "page-cache 201326592 67108864", options="--memory 64m --disk 256m")
    add("Lock memory", "memory limit, RLIMIT_MEMLOCK", "resources", "lock-memory 134217728",
        options="--memory 64m", outcomes="out_of_memory exited")
    add("Disk bomb", "quota of the writable file system", "resources",
        "disk 33554432 /workspace /tmp /output /dev/shm", control_call="disk 33554432 .",
        options="--disk 16m", outcomes="exited")
    add("Disk bomb above the size of a tmpfs", "quota of the writable file system", "resources",
        "disk 167772160 /workspace /tmp /output /dev/shm", control_call="disk 167772160 .",
        options="--disk 96m --memory 128m", outcomes="exited")
    add("Inode bomb", "inodes of the writable file system", "resources", "inodes 100000",
        control_call="inodes 70000", options="--timeout 20s --cpu-time 20s")
    add("Directories deeper than a path", "inodes, removal without recursion", "resources", "deep 100000",
        control_call="deep 3000", options="--timeout 20s --cpu-time 20s")
    add("Output bomb: stdout", "output limit", "resources", "output 1 67108864", kind="outcome",
        options="--output-limit 1m", outcomes="output_limit")
    add("Output bomb: stderr", "output limit", "resources", "output 2 67108864", kind="outcome",
        options="--output-limit 1m", outcomes="output_limit")
    add("Output that breaks JSON", "encoding of the result", "resources", "bad-bytes", kind="bad_bytes")
    add("Open files without end", "RLIMIT_NOFILE", "resources", "open-files 5000",
        control_call="open-files 1500")
    add("Huge arguments", "limits of a request", "resources", "arguments 200000", kind="huge_arguments")
    add("Huge environment", "limits of a request", "resources", "arguments 200000", kind="huge_environment")
    add("Many children use the processor", "CPU time of the whole group", "resources", "busy 8",
        control_call="used 1000", kind="outcome", options="--cpu-time 1s --timeout 20s",
        outcomes="cpu_timeout")
    add("Children that live shorter than a poll", "CPU time of the whole group", "resources", "busy 4 churn",
        control_call="used 1000", kind="outcome", options="--cpu-time 1s --timeout 20s",
        outcomes="cpu_timeout")
    for mode in ("double-fork", "daemon", "stubborn", "stopped"):
        add(f"Outlive the run: {mode}", "whole group killed and seen empty", "resources",
            f"outlive {{marker}} {mode}", kind="outlive")
    add("Ignore every signal", "SIGKILL of the whole group", "resources", "stay stubborn", kind="outcome",
        control_call="survive stubborn", options="--timeout 1s", outcomes="wall_timeout")
    add("Stop itself", "wall clock of the keeper", "resources", "stay stopped", kind="outcome",
        control_call="survive stopped", options="--timeout 1s", outcomes="wall_timeout")
    add("Set the clock back to gain time", "monotonic clock, seccomp", "resources", "stay clock",
        control_call="survive stubborn", kind="outcome", options="--timeout 1s", outcomes="wall_timeout")


def _terminal(add):
    add("Type into the caller's terminal", "terminal of its own, seccomp", "tty", "type-into", kind="terminal")
    add("Type with high bits set, paste into the console", "seccomp (masked compare)", "tty", "console",
        kind="terminal")
    add("Hold the caller's terminal", "terminal of its own", "tty", "same-terminal {terminal}",
        kind="terminal")
    add("Find other terminals", "own devpts", "tty", "terminals", kind="terminal")
    add("Terminal escapes through airlock's own messages", "escapes are stripped", "tty", "type-into",
        kind="message_escapes")


def _fds(add):
    add("Use a descriptor that leaked in", "close-on-exec from birth, close_range", "fds", "leaked",
        kind="leaked_fd")
    add("Find a file of the host as a stream", "pipes between", "fds", "file-stream", kind="stdin_read")
    add("Write the file that is stdin", "pipes between", "fds", "reopen 0 write", kind="stdin_write")
    add("Read back the file that is stdout", "pipes between", "fds", "reopen 1 read", kind="stdout_read")
    add("Overwrite the program that is run", "programs are copied in", "fds", "overwrite-self",
        kind="overwrite_self")


def _collect(add):
    beneath = "openat2 beneath, no links"
    out = "{output}"
    add("Output: link to a secret", beneath, "collect", f"link-to {out} {{canary}}", kind="collect")
    add("Output: link to /etc/shadow", beneath, "collect", f"link-to {out} /etc/shadow", kind="collect")
    add("Output: link to the collector's memory", beneath, "collect", f"link-to {out} /proc/self/status",
        kind="collect")
    add("Output: link to a directory", beneath, "collect", f"link-to {out} {{canary_dir}}", kind="collect")
    add("Output: link to its own parent", beneath, "collect", f"link-loop {out}", kind="collect")
    add("Output: hard link to a file of the host", "own file system", "collect",
        f"hard-link {out} /etc/passwd", control_call=f"hard-link {out} {{output_secret}}", kind="collect")
    add("Output: fifo", "regular files only", "collect", f"fifo {out}", kind="collect")
    add("Output: socket", "regular files only", "collect", f"socket {out}", kind="collect")
    add("Output: device", "no capabilities, regular files only", "collect", f"device {out}", kind="collect")
    for kind in ("newline", "control", "utf8", "dots", "long"):
        add(f"Output: name with {kind}", "names are checked", "collect", f"names {out} {kind}",
            kind="collect")
    add("Output: deeper than a path", "depth limit", "collect", f"deep {out} 2000", kind="collect",
        control_call=f"deep {out} 300")
    add("Output: sparse terabyte", "size limits", "collect", f"sparse {out} 1099511627776", kind="collect")
    add("Output: more files than allowed", "number limit", "collect", f"many {out} 12000", kind="collect")
    add("Output: setuid file", "modes are not kept", "collect", f"modes {out} 6755", kind="collect")
    add("Output: file of mode 0", "collector without privilege", "collect", f"modes {out} 0", kind="collect")
    add("Output: directory of mode 0", "collector without privilege", "collect", f"unreadable {out}",
        kind="collect")
    add("Output: swapped for a link while collected", "group killed before collecting", "collect",
        f"swap {out} {{canary}} {{marker}}", kind="collect")
    add("Output: the directory itself replaced", "directory held open", "collect",
        f"replace {out} {{canary_dir}}", kind="collect")


GROUPS = {
    "files": _files, "mounts": _mounts, "processes": _processes, "network": _network, "kernel": _kernel,
    "ipc": _ipc, "resources": _resources, "terminal": _terminal, "fds": _fds, "collect": _collect,
}


def groups():
    """Group name -> its probes, in the order of their ids."""
    table, found = _Table(), {}
    for name, fill in GROUPS.items():
        start = len(table.probes)
        fill(table.add)
        found[name] = table.probes[start:]
    return found


def control_words(probe):
    """How the control runs, for the table of the threat model."""
    where = {"root": "on the host"}.get(probe.control, f"in `{probe.control}`")
    call = f": `{' '.join(probe.control_call)}`" if probe.control_call else ""
    lack = f" (may be absent: {probe.may_lack})" if probe.may_lack else ""
    return where + call + lack


def table_rows():
    for probes in groups().values():
        for p in probes:
            yield (p.id, p.threat, p.walls, f"`{p.name()}`", control_words(p), p.tested_on)
