"""Threats to the host's files, its mounts and namespaces.

Each call of `add` is one row of the threat table: threat, walls, binary, call (catalogue.Probe).
"""


def files(add):
    view = "own root, pivot_root"
    add("Read the host's password hashes", view, "files", "shadow")
    add("List root's home", view, "files", "list /root")
    add("List the homes of users", view, "files", "list /home")
    add("List a folder of the host by its name", view, "files", "list {repository}")
    add(
        "Read files in the host's shared temporary places",
        view,
        "files",
        "read-any {canary} /tmp/{tag} /var/tmp/{tag} /dev/shm/{tag} /run/{tag}",
    )
    add(
        "Reach the host's root through /proc/1/root",
        "own pid namespace, init of another uid",
        "files",
        "through-proc-root 1 {canary}",
        control_call="through-proc-root {victim} {canary}",
    )
    add(
        "Climb out of the root with ..", "pivot_root, old root detached", "files", "dotdot {canary}"
    )
    add(
        "Escape with chroot",
        "no capabilities, seccomp",
        "files",
        "chroot-escape {canary}",
        control="mnt",
    )
    add("Open by file handle", "no capabilities, seccomp", "files", "open-by-handle")
    add("Learn the users of the host", "own /etc", "files", "contains /etc/passwd {host_user}:")
    add(
        "Learn the mounts of the host",
        "own mount namespace",
        "files",
        "contains /proc/self/mountinfo {host_mount_arg}",
    )
    add(
        "Learn the identity of the host from /etc",
        "own /etc",
        "files",
        "contains /etc/machine-id {machine_id}",
        may_lack="the host has no machine-id",
    )
    add("Write into /usr", "read-only mount", "files", "create-in /usr")
    add(
        "Write into /etc",
        "read-only mount",
        "files",
        "open-write /etc/passwd /etc/ld.so.cache /etc/hosts",
    )
    add("Write into the root directory", "read-only root", "files", "create-in /")
    add(
        "Change the inputs",
        "read-only mount",
        "files",
        "create-in /input",
        control_call="create-in .",
    )
    add("Make a block device", "no capabilities, nodev, seccomp", "files", "make-node block")
    add("Make a character device", "no capabilities, nodev, seccomp", "files", "make-node char")
    add("Find devices in /dev", "minimal /dev", "files", "devices")
    add("Open memory, disks, kernel devices", "minimal /dev", "files", "hardware")
    add(
        "Become root through a setuid file",
        "no_new_privs, nosuid, uid range",
        "files",
        "setuid-exec",
        control="uid=1000",
        control_call="setuid-exec {setuid}",
    )
    add("Find a mount that honours setuid", "nosuid on every mount", "files", "nosuid")
    add("Give a file capabilities", "no capabilities", "files", "file-capability")
    add("Give a file to root", "no capabilities", "files", "own-as-root")
    add(
        "Make a file that cannot be removed",
        "no capabilities",
        "files",
        "immutable",
        may_lack="the file system of the temporary folder has no such flag",
    )
    add("Watch all opens with fanotify", "no capabilities, seccomp", "files", "fanotify")


def mounts(add):
    for kind in ("tmpfs", "proc", "bind", "cgroup2"):
        add(
            f"Mount: {kind}",
            "no capabilities, seccomp",
            "mounts",
            f"mount {kind}",
            control="mnt,pid",
        )
    add(
        "Make a read-only mount writable",
        "seccomp, locked mounts",
        "mounts",
        "remount",
        control="mnt",
    )
    add("Uncover what a mount hides", "seccomp, locked mounts", "mounts", "unmount", control="mnt")
    add("Change the root with pivot_root", "seccomp", "mounts", "pivot-root", control="mnt")
    for call in ("fsopen", "open_tree", "move_mount", "mount_setattr"):
        add(f"New mount interface: {call}", "seccomp", "mounts", f"mount-api {call}", control="mnt")
    add(
        "List mounts by identity",
        "seccomp",
        "mounts",
        "list-mounts",
        may_lack="kernel older than 6.8 has no listmount",
    )
    for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"):
        add(f"New namespace with unshare: {kind}", "seccomp", "mounts", f"unshare {kind}")
    add("New namespace with clone", "seccomp (flags of clone)", "mounts", "clone-new clone")
    add("New namespace with clone3", "seccomp (ENOSYS)", "mounts", "clone-new clone3")
    add(
        "Join the namespaces of init",
        "seccomp, init of another uid",
        "mounts",
        "join 1",
        control_call="join {victim}",
    )
    add(
        "Join the namespaces of a host process",
        "own pid namespace, seccomp",
        "mounts",
        "join {victim}",
    )
    add("Read kernel secrets in /proc", "masked paths", "mounts", "proc-masked")
    add(
        "Learn the host's disks from /proc",
        "masked paths",
        "mounts",
        "any-readable /proc/partitions /proc/diskstats",
    )
    add(
        "Write kernel settings in /proc/sys",
        "uid range, no capabilities",
        "mounts",
        "writable-below /proc/sys",
    )
    add(
        "Trigger kernel actions in /proc",
        "uid range, no capabilities",
        "files",
        "open-write /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/mtrr "
        "/proc/acpi/wakeup "
        "/proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches",
    )
    add("Write into /sys", "no /sys", "mounts", "writable-below /sys")
    add("Learn the hardware from /sys", "no /sys", "files", "list /sys/class/block")
    add("Move to another control group", "own cgroup namespace, no /sys", "mounts", "cgroup-write")
    add(
        "Learn the host's control groups",
        "own cgroup namespace",
        "mounts",
        "cgroup-path",
        may_lack="the tests run in the root control group",
    )
