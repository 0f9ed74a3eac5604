"""The virtual machine as a process: a QEMU that emulates (TCG), so it needs no /dev/kvm.

`Machine` owns the process: leaving its `with` kills and reaps it. Its standard output is the log
port of the guest; results and the kernel's console go to files. Nothing waits without a deadline.
"""

import ctypes
import os
import pathlib
import selectors
import signal
import subprocess
import time

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 2048
# The emulator's processors share one clock, which the kernel cannot know (`tsc=reliable`): without
# being told it reads the time from a device, which takes long and stops the other processor.
KERNEL_ARGUMENTS = ("console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off random.trust_cpu=on "
                    "tsc=reliable")
# What costs the emulator a seventh of its time and changes nothing that a suite looks at: page
# tables of a fifth level and the checks of the kernel's own accesses.
CPU = "max,-la57,-smap,-smep,-pku"
READ_BYTES = 65536


class MachineTimeout(Exception):
    """The machine did not switch itself off in time."""


def die_with_parent():
    """A runner killed hard must not leave a machine that burns two processors."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def drive(path, *, keep):
    """A virtio disk; without `keep` its writes go to a temporary file of QEMU's and vanish."""
    writes = "snapshot=off" if keep else "snapshot=on"
    return ["-drive", f"if=virtio,format=raw,cache=unsafe,{writes},file={path}"]


class Machine:
    """One run of the test machine with three disks: root, payload, state.

    Its two processors are separate cores, or with `smt` the two threads of one core (an Intel one,
    since QEMU gives AMD's no threads).
    """

    def __init__(self, kernel, base, payload, state, work, *, smt=False):
        self.console = pathlib.Path(work, "console.log")
        self.results = pathlib.Path(work, "results.jsonl")
        cpu = [f"{CPU},vendor=GenuineIntel", "2,sockets=1,cores=1,threads=2"] if smt else [CPU, "2"]
        self.argv = [
            QEMU, "-accel", "tcg,thread=multi", "-cpu", cpu[0], "-smp", cpu[1],
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-kernel", str(kernel), "-initrd", f"{base}/initramfs",
            "-append", KERNEL_ARGUMENTS,
            *drive(f"{base}/root.img", keep=False), *drive(payload, keep=False),
            *drive(state, keep=True),
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-device", "virtio-serial-pci",
            # Not a `stdio` channel: at the end of its input that one counts as hung up, and the
            # guest's writes would wait for ever.
            "-chardev", "file,id=log,path=/dev/stdout",
            "-device", "virtserialport,chardev=log,name=log",
            "-chardev", f"file,id=results,path={self.results}",
            "-device", "virtserialport,chardev=results,name=results"]
        # The overlay of the root disk may grow to gigabytes, which a /tmp in memory cannot hold.
        self.environment = dict(os.environ, TMPDIR=str(work))
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        env=self.environment, preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def log(self, timeout_seconds):
        """Yields what the guest logs, in pieces, until it switches off."""
        deadline = time.monotonic() + timeout_seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise MachineTimeout
                piece = os.read(self.process.stdout.fileno(), READ_BYTES)
                if not piece:
                    return
                yield piece
