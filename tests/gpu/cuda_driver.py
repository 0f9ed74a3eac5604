#!/usr/bin/env python3
"""A program that uses a GPU through CUDA's driver interface, with nothing but the driver.

    cuda_driver.py add              adds two vectors on each GPU that it sees, and checks the sums
    cuda_driver.py hold MIB SECONDS keeps that much memory of the first one
    cuda_driver.py fault            writes where it may not
    cuda_driver.py see              which GPUs it sees

Its last line is a JSON object: {"uuids": [...], "memory_mib": [...], ...}; the first one of `hold`
is `holding`. Ends with 3 where there is no driver or no GPU to be seen, with 4 where a call fails;
a line says which.
"""

import ctypes
import json
import sys
import time
import uuid

COUNT = 1 << 20
THREADS = 256
# One addition per thread; `fault` gives it an address that is nobody's.
PTX = b"""
.version 6.3
.target sm_75
.address_size 64
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
  .reg .pred %p;
  .reg .u32 %r<6>;
  .reg .u64 %d<8>;
  .reg .f32 %f<4>;
  ld.param.u64 %d1, [a];
  ld.param.u64 %d2, [b];
  ld.param.u64 %d3, [c];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra DONE;
  mul.wide.u32 %d4, %r5, 4;
  add.u64 %d5, %d1, %d4;
  add.u64 %d6, %d2, %d4;
  add.u64 %d7, %d3, %d4;
  ld.global.f32 %f1, [%d5];
  ld.global.f32 %f2, [%d6];
  add.f32 %f3, %f1, %f2;
  st.global.f32 [%d7], %f3;
DONE:
  ret;
}
"""


class Cuda:
    def __init__(self):
        try:
            self.library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            print(error, flush=True)
            sys.exit(3)
        self.call("cuInit", 0)

    def call(self, name, *arguments):
        result = getattr(self.library, name)(*arguments)
        if result == 0:
            return
        text = ctypes.c_char_p()
        self.library.cuGetErrorName(result, ctypes.byref(text))
        said = (text.value or b"unknown").decode()
        print(f"{name}: {said} ({result})", flush=True)
        sys.exit(3 if name == "cuInit" else 4)

    def number(self, name, *arguments, kind=ctypes.c_int):
        value = kind()
        self.call(name, ctypes.byref(value), *arguments)
        return value.value

    def devices(self):
        return range(self.number("cuDeviceGetCount"))

    def uuid(self, device):
        room = ctypes.create_string_buffer(16)
        self.call("cuDeviceGetUuid_v2", room, device)
        return f"GPU-{uuid.UUID(bytes=room.raw)}"

    def memory_mib(self, device):
        return self.number("cuDeviceTotalMem_v2", device, kind=ctypes.c_size_t) >> 20

    def enter(self, device):
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def allocate(self, size):
        return self.number("cuMemAlloc_v2", ctypes.c_size_t(size), kind=ctypes.c_uint64)

    def add(self, a, b, c, count):
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), PTX)
        self.call("cuModuleGetFunction", ctypes.byref(function), module, b"add")
        values = [ctypes.c_uint64(a), ctypes.c_uint64(b), ctypes.c_uint64(c),
                  ctypes.c_uint32(count)]
        pointers = (ctypes.c_void_p * 4)(*(ctypes.addressof(value) for value in values))
        blocks = -(-count // THREADS)
        self.call("cuLaunchKernel", function, blocks, 1, 1, THREADS, 1, 1, 0, None, pointers, None)
        self.call("cuCtxSynchronize")


def add_on(cuda, device):
    """Whether the GPU gets the sums right that a processor can check."""
    cuda.enter(device)
    vector = ctypes.c_float * COUNT
    first = vector(*range(COUNT))
    second = vector(*range(COUNT, 0, -1))
    size = ctypes.sizeof(vector)
    places = [cuda.allocate(size) for _ in range(3)]
    for place, values in zip(places, (first, second)):
        cuda.call("cuMemcpyHtoD_v2", ctypes.c_uint64(place), values, ctypes.c_size_t(size))
    cuda.add(*places, COUNT)
    sums = vector()
    cuda.call("cuMemcpyDtoH_v2", sums, ctypes.c_uint64(places[2]), ctypes.c_size_t(size))
    return all(value == COUNT for value in sums)


def main():
    what = sys.argv[1]
    cuda = Cuda()
    devices = cuda.devices()
    said = {"uuids": [cuda.uuid(device) for device in devices],
            "memory_mib": [cuda.memory_mib(device) for device in devices],
            "driver": cuda.number("cuDriverGetVersion")}
    if what == "add":
        said["right"] = [add_on(cuda, device) for device in devices]
    elif what == "hold":
        cuda.enter(0)
        cuda.allocate(int(sys.argv[2]) << 20)
        print("holding", flush=True)
        time.sleep(float(sys.argv[3]))
    elif what == "fault":
        cuda.enter(0)
        cuda.add(0x1000, 0x1000, 0x1000, COUNT)
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
