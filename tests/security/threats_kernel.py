"""Threats through system calls and shared objects of the kernel.

Each call of `add` is one row of the threat table: threat, walls, binary, call (catalogue.Probe).
"""


def kernel(add):
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
    add(
        "Load another kernel from a file",
        walls,
        "kernel",
        "kexec-file",
        may_lack="kernel without CONFIG_KEXEC_FILE",
    )
    for call in ("init", "finit", "delete"):
        add(
            f"Kernel modules: {call}_module",
            walls,
            "kernel",
            f"module {call}",
            may_lack="kernel without CONFIG_MODULES",
        )
    add("Restart the machine", walls + ", no capabilities", "kernel", "reboot")
    add("Swap on", walls, "kernel", "swap on")
    add("Swap off", walls, "kernel", "swap off")
    add("Process accounting", walls, "kernel", "account")
    add("Disk quotas", walls, "kernel", "quota")
    add("Set the clock", walls + ", no capabilities", "kernel", "set-clock settimeofday")
    add("Bend the clock", walls + ", no capabilities", "kernel", "set-clock adjtimex")
    add(
        "Set the clock to now",
        walls + ", no capabilities",
        "kernel",
        "set-clock clock_settime",
        control_call="set-clock settimeofday",
    )
    add(
        "Hardware ports: iopl",
        walls,
        "kernel",
        "ports iopl",
        may_lack="kernel without CONFIG_X86_IOPL_IOPERM",
    )
    add(
        "Hardware ports: ioperm",
        walls,
        "kernel",
        "ports ioperm",
        may_lack="kernel without CONFIG_X86_IOPL_IOPERM",
    )
    add("Own segments (modify_ldt)", walls, "kernel", "segment")
    add("Weaken address randomisation", walls, "kernel", "persona")
    add("Read the kernel log", walls + ", no capabilities", "kernel", "kernel-log")
    add(
        "System calls of i386",
        "seccomp kills",
        "kernel",
        "foreign int80",
        outcomes="exited denied signalled",
    )
    add(
        "System calls of x32",
        "seccomp kills",
        "kernel",
        "foreign x32",
        outcomes="exited denied signalled",
        may_lack="kernel without CONFIG_X86_X32_ABI",
    )
    add(
        "Run a program from memory with more rights",
        "no_new_privs, inherited seccomp",
        "kernel",
        "memory-exec",
    )
    add(
        "System calls newer than the policy",
        "seccomp (ENOSYS)",
        "kernel",
        "newest",
        may_lack="kernel older than these calls",
    )


def ipc(add):
    own = "own ipc namespace"
    for kind in ("shm", "sem", "msg"):
        add(f"Find System V objects: {kind}", own, "ipc", f"system-v {kind} {{key}}")
    add("Open a POSIX queue of the host", own, "ipc", "queue {tag}")
    add("Open shared memory of the host", "own /dev/shm", "ipc", "shared {tag}")
    add(
        "See a lock of another sandbox",
        "own inode of each shared file",
        "ipc",
        "lock {shared_file}",
        kind="lock_across",
    )
    add(
        "See a lock on a shared file of /etc",
        "own inode of each shared file",
        "ipc",
        "lock /etc/ld.so.cache",
        kind="lock_across",
    )
    add(
        "See a record lock of another sandbox",
        "own inode of each shared file",
        "ipc",
        "record-lock {shared_file}",
        kind="record_lock_across",
    )
    add(
        "See which programs the host uses",
        "own inode of each shared file",
        "ipc",
        "watch {shared_file}",
        kind="watch_host",
    )
    add("Hold a lease on a file of the host", "no capabilities", "ipc", "lease {shared_file}")
