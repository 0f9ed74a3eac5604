"""Threats through the terminal, descriptors and collected outputs.

Each call of `add` is one row of the threat table: threat, walls, binary, call (catalogue.Probe).
"""


def terminal(add):
    add(
        "Type into the caller's terminal",
        "terminal of its own, seccomp",
        "tty",
        "type-into",
        kind="terminal",
    )
    add(
        "Type with high bits set, paste into the console",
        "seccomp (masked compare)",
        "tty",
        "console",
        kind="terminal",
    )
    add(
        "Hold the caller's terminal",
        "terminal of its own",
        "tty",
        "same-terminal {terminal}",
        kind="terminal",
    )
    add("Find other terminals", "own devpts", "tty", "terminals", kind="terminal")
    add(
        "Terminal escapes through airlock's own messages",
        "escapes are stripped",
        "tty",
        "type-into",
        kind="message_escapes",
    )


def fds(add):
    add(
        "Use a descriptor that leaked in",
        "close-on-exec from birth, close_range",
        "fds",
        "leaked",
        kind="leaked_fd",
    )
    add(
        "Find a file of the host as a stream",
        "pipes between",
        "fds",
        "file-stream",
        kind="stdin_read",
    )
    add(
        "Write the file that is stdin", "pipes between", "fds", "reopen 0 write", kind="stdin_write"
    )
    add(
        "Read back the file that is stdout",
        "pipes between",
        "fds",
        "reopen 1 read",
        kind="stdout_read",
    )
    add(
        "Overwrite the program that is run",
        "programs are copied in",
        "fds",
        "overwrite-self",
        kind="overwrite_self",
    )


def collect(add):
    beneath = "openat2 beneath, no links"
    out = "{output}"
    add("Output: link to a secret", beneath, "collect", f"link-to {out} {{canary}}", kind="collect")
    add(
        "Output: link to /etc/shadow",
        beneath,
        "collect",
        f"link-to {out} /etc/shadow",
        kind="collect",
    )
    add(
        "Output: link to the collector's memory",
        beneath,
        "collect",
        f"link-to {out} /proc/self/status",
        kind="collect",
    )
    add(
        "Output: link to a directory",
        beneath,
        "collect",
        f"link-to {out} {{canary_dir}}",
        kind="collect",
    )
    add("Output: link to its own parent", beneath, "collect", f"link-loop {out}", kind="collect")
    add(
        "Output: hard link to a file of the host",
        "own file system",
        "collect",
        f"hard-link {out} /etc/passwd",
        control_call=f"hard-link {out} {{output_secret}}",
        kind="collect",
    )
    add("Output: fifo", "regular files only", "collect", f"fifo {out}", kind="collect")
    add("Output: socket", "regular files only", "collect", f"socket {out}", kind="collect")
    add(
        "Output: device",
        "no capabilities, regular files only",
        "collect",
        f"device {out}",
        kind="collect",
    )
    for kind in ("newline", "control", "utf8", "dots", "long"):
        add(
            f"Output: name with {kind}",
            "names are checked",
            "collect",
            f"names {out} {kind}",
            kind="collect",
        )
    add(
        "Output: deeper than a path",
        "depth limit",
        "collect",
        f"deep {out} 2000",
        kind="collect",
        control_call=f"deep {out} 300",
    )
    add(
        "Output: sparse terabyte",
        "size limits",
        "collect",
        f"sparse {out} 1099511627776",
        kind="collect",
    )
    add(
        "Output: more files than allowed",
        "number limit",
        "collect",
        f"many {out} 12000",
        kind="collect",
    )
    add("Output: setuid file", "modes are not kept", "collect", f"modes {out} 6755", kind="collect")
    add(
        "Output: file of mode 0",
        "collector without privilege",
        "collect",
        f"modes {out} 0",
        kind="collect",
    )
    add(
        "Output: directory of mode 0",
        "collector without privilege",
        "collect",
        f"unreadable {out}",
        kind="collect",
    )
    add(
        "Output: swapped for a link while collected",
        "group killed before collecting",
        "collect",
        f"swap {out} {{canary}} {{marker}}",
        kind="collect",
    )
    add(
        "Output: the directory itself replaced",
        "directory held open",
        "collect",
        f"replace {out} {{canary_dir}}",
        kind="collect",
    )
