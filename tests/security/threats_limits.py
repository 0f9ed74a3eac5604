"""Threats to what the machine has: processes, memory, disk, output, time.

Each call of `add` is one row of the threat table: threat, walls, binary, call (catalogue.Probe).
"""


def resources(add):
    add(
        "Fork bomb, bounded",
        "pids limit",
        "resources",
        "forks 500",
        options="--pids 64",
        outcomes="exited process_limit",
    )
    add(
        "Fork bomb, endless",
        "pids limit, whole group killed",
        "resources",
        "fork-endless",
        control_call="forks 500",
        kind="outcome",
        options="--pids 64 --timeout 2s --cpu-time 30s",
        # What a refused fork took, the kernel frees later: where it is behind, memory goes first.
        outcomes="wall_timeout process_limit out_of_memory",
    )
    add(
        "Thread bomb",
        "pids limit",
        "resources",
        "threads 500",
        options="--pids 64",
        outcomes="exited process_limit",
    )
    add(
        "Zombie farm",
        "pids limit",
        "resources",
        "zombies 500",
        options="--pids 64",
        outcomes="exited process_limit",
    )
    for kind in ("anonymous", "shared", "memfd", "system-v"):
        add(
            f"Memory bomb: {kind}",
            "memory limit",
            "resources",
            f"memory {kind} 134217728",
            options="--memory 64m",
            outcomes="out_of_memory exited",
            weaker_without="cgroup",
        )
    for kind in ("pipes", "sockets", "tcp"):
        add(
            f"Memory bomb: buffers of {kind}",
            "memory limit (kernel memory)",
            "resources",
            f"buffers {kind} 134217728",
            control_call=f"buffers {kind} 33554432",
            options="--memory 32m",
            outcomes="out_of_memory exited",
            weaker_without="cgroup",
        )
    add(
        "Memory bomb: page cache",
        "memory limit on the group",
        "resources",
        "page-cache 201326592 67108864",
        options="--memory 64m --disk 256m",
        weaker_without="cgroup",
    )
    add(
        "Lock memory",
        "memory limit, RLIMIT_MEMLOCK",
        "resources",
        "lock-memory 134217728",
        options="--memory 64m",
        outcomes="out_of_memory exited",
    )
    add(
        "Disk bomb",
        "quota of the writable file system",
        "resources",
        "disk 33554432 /workspace /tmp /output /build /dev/shm",
        control_call="disk 33554432 .",
        options="--disk 16m",
        outcomes="exited",
    )
    add(
        "Disk bomb above the size of a tmpfs",
        "quota of the writable file system",
        "resources",
        "disk 167772160 /workspace /tmp /output /build /dev/shm",
        control_call="disk 167772160 .",
        options="--disk 96m --memory 128m",
        outcomes="exited disk_limit",
        weaker_without="disk_quota",
    )
    add(
        "Inode bomb",
        "inodes of the writable file system",
        "resources",
        "inodes 100000",
        control_call="inodes 70000",
        options="--timeout 20s --cpu-time 20s",
    )
    add(
        "Directories deeper than a path",
        "inodes, time limits, removal without recursion",
        "resources",
        "deep 100000",
        control_call="deep 3000",
        options="--timeout 4s --cpu-time 20s",
        outcomes="exited wall_timeout",
    )
    add(
        "Output bomb: stdout",
        "output limit",
        "resources",
        "output 1 67108864",
        kind="outcome",
        options="--output-limit 1m",
        outcomes="output_limit",
    )
    add(
        "Output bomb: stderr",
        "output limit",
        "resources",
        "output 2 67108864",
        kind="outcome",
        options="--output-limit 1m",
        outcomes="output_limit",
    )
    add(
        "Output that breaks JSON",
        "encoding of the result",
        "resources",
        "bad-bytes",
        kind="bad_bytes",
    )
    add(
        "Open files without end",
        "RLIMIT_NOFILE",
        "resources",
        "open-files 5000",
        control_call="open-files 1500",
    )
    add(
        "Take all inotify instances of the host",
        "counted for the sandbox's own user",
        "resources",
        "instances 1000 1500",
        control_call="instances 100",
        kind="starve_instances",
    )
    add("Take all terminals of the host", "own devpts with a limit", "resources", "terminals 900")
    add(
        "Huge arguments",
        "limits of a request",
        "resources",
        "arguments 200000",
        kind="huge_arguments",
    )
    add(
        "Huge environment",
        "limits of a request",
        "resources",
        "arguments 200000",
        kind="huge_environment",
    )
    add(
        "Many children use the processor",
        "CPU time of the whole group",
        "resources",
        "busy 8",
        control_call="used 1000",
        kind="outcome",
        options="--cpu-time 1s --timeout 10s",
        outcomes="cpu_timeout",
        weaker_without="cgroup",
    )
    add(
        "Children that live shorter than a poll",
        "CPU time of the whole group",
        "resources",
        "busy 4 churn",
        control_call="used 1000",
        kind="outcome",
        options="--cpu-time 1s --timeout 10s",
        outcomes="cpu_timeout",
        weaker_without="cgroup",
    )
    for mode in ("double-fork", "daemon", "stubborn", "stopped"):
        add(
            f"Outlive the run: {mode}",
            "whole group killed and seen empty",
            "resources",
            f"outlive {{marker}} {mode}",
            kind="outlive",
        )
    add(
        "Ignore every signal",
        "SIGKILL of the whole group",
        "resources",
        "stay stubborn",
        kind="outcome",
        control_call="survive stubborn",
        options="--timeout 1s",
        outcomes="wall_timeout",
    )
    add(
        "Stop itself",
        "wall clock of the keeper",
        "resources",
        "stay stopped",
        kind="outcome",
        control_call="survive stopped",
        options="--timeout 1s",
        outcomes="wall_timeout",
    )
    add(
        "Set the clock back to gain time",
        "monotonic clock, seccomp",
        "resources",
        "stay clock",
        control_call="survive stubborn",
        kind="outcome",
        options="--timeout 1s",
        outcomes="wall_timeout",
    )
