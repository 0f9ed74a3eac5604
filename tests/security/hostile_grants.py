"""What a hostile caller tries with what sandboxes are given (part of hostile_caller.py)."""

import pathlib
import struct
import tempfile

import wire
from hostile_support import exited_zero, expect, program, report_of, sandbox


def names_that_are_not_given(launcher):
    names = ("unknown", "..", "../..", "/", "/etc", "a/b", "A", "", "\n", "x" * 200, "/dev/sda")
    for name in names:
        for given in ({"layer": name}, {"folders": [name]}, {"devices": [name]},
                      {"image": name}):
            if given in ({"layer": ""}, {"image": ""}):
                continue  # that is none
            keeper = launcher.open()
            wire.send(keeper, wire.create_sandbox(**given))
            report = report_of(keeper)
            expect(report and report["stage"], f"a sandbox was given {given}")
            keeper.close()
    keeper = launcher.open()
    wire.send(keeper, wire.create_sandbox(folders=["x"] * 5000))
    expect(not exited_zero(report_of(keeper)), "more folders than a list may hold")
    keeper.close()


def layers_by_other_names(launcher):
    """Orders about layers reach nothing but layers."""
    target = pathlib.Path(tempfile.mkdtemp(prefix="host-scratch-"))
    (target / "kept").write_text("x")
    names = (f"../../..{target}", str(target), "..", ".", "../work", "", "a/../..", ".new-1", "\n")
    try:
        for name in names:
            for packet in (
                wire.layer_order(3, name),
                wire.layer_order(2, name),
                wire.keep_layer(name),
            ):
                with sandbox(launcher) as keeper:
                    report_of(keeper)
                    wire.send(keeper, packet)
                    answer, _ = wire.receive(keeper)
                    expect(wire.kind_of(answer) in ("LayersDone", "LayerKept"), f"{name!r}")
                    error = struct.unpack_from("<i", answer, 8)[0]
                    expect(error != 0, f"{name!r} was taken for a layer")
            expect((target / "kept").exists(), f"{name!r} removed a file of the host")
    finally:
        (target / "kept").unlink()
        target.rmdir()


def layers_out_of_order(launcher):
    for packets in (
        [wire.keep_layer("x")],  # without a sandbox
        [wire.layer_order(0), wire.layer_order(9), wire.layer_order(255)],
        [wire.header("TreeEntry") + b"\0" * 40, wire.header("TreeDone") + b"\0" * 4],
        [wire.header("Bind", 0) + b"\0" * 40, wire.header("ReadTree") + wire.text("tmp")],
    ):
        keeper = launcher.open()
        for packet in packets:
            wire.send(keeper, packet)
        keeper.close()
    with sandbox(launcher) as keeper:
        wire.start_program(keeper, program(), ["sleep", "300"]).close()
        for _ in range(20):
            wire.send(keeper, wire.keep_layer("never_kept"))


ATTACKS = (names_that_are_not_given, layers_by_other_names, layers_out_of_order)
