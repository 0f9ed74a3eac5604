"""Takes memory until there is none, in a child that nobody waits for."""
import os

hoard = []
if os.fork() == 0:
    while True:
        hoard.append(bytearray(os.urandom(1)) * (8 << 20))
os.wait()
