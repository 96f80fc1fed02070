"""What the peers' programs share: the numbers that all sides compute from, and the conversation with tools/bench/run.

A program reads requests, a line each, and answers each with a line of JSON:
  prepare KIND SIZE...            makes the work, calls it once, and says which implementations there are; among the
                                  sizes may be precision=tf32, otherwise float32 is computed in float32
  measure IMPLEMENTATION SECONDS  seconds a call takes: the median over batches of calls
  quit
or is started as `PROGRAM once IMPLEMENTATION KIND SIZE...`, to time the first call in a process of its own, which
ends when its input does. The environment says on which device (BENCH_DEVICE: cpu or cuda) and in which ways
(BENCH_IMPLEMENTATIONS).
"""

import json
import os
import resource
import sys
import time

import numpy as np

DEVICE = os.environ["BENCH_DEVICE"]
WANTED = os.environ["BENCH_IMPLEMENTATIONS"].split(",")


def uniform(shape, seed, low=-1.0, high=1.0):
    """Numbers that look random, the same ones in C++ (tools/bench/numbers.h)."""
    with np.errstate(over="ignore"):
        x = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint32) + np.uint32((seed * 0x9E3779B9) & 0xFFFFFFFF)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    unit = (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return (np.float32(low) + np.float32(high - low) * unit).reshape(shape)


def labels(count, classes, seed):
    return np.minimum((uniform((count,), seed, 0, 1) * classes).astype(np.int32), classes - 1)


def weights(shape, fan_in, seed):
    bound = fan_in**-0.5
    return uniform(shape, seed, -bound, bound)


def lenet_numbers(batch, first, second):
    """Images, labels and parameters of the LeNet step."""
    features = second * 4 * 4
    parameters = [
        weights((first, 1, 5, 5), 25, 1), np.zeros(first, np.float32),
        weights((second, first, 5, 5), first * 25, 2), np.zeros(second, np.float32),
        weights((features, 500), features, 3), np.zeros(500, np.float32),
        weights((500, 10), 500, 4), np.zeros(10, np.float32),
    ]  # fmt: skip
    return uniform((batch, 1, 28, 28), 5, 0, 1), labels(batch, 10, 6), parameters


def layers_numbers(batch, *widths):
    """Rows, labels and parameters of a network of dense layers."""
    parameters = []
    for i, (n, m) in enumerate(zip(widths, widths[1:])):
        parameters += [weights((n, m), n, i + 1), np.zeros(m, np.float32)]
    return uniform((batch, widths[0]), 10), labels(batch, widths[-1], 11), parameters


# Of VGG-A: filters of each layer of convolution 3x3.
VGG_FILTERS = (64, 128, 256, 256, 512, 512, 512, 512)


def vgg_numbers(batch):
    """Images of 224 x 224, labels and parameters of the VGG-A step."""
    parameters, channels = [], 3
    for i, filters in enumerate(VGG_FILTERS):
        parameters += [weights((filters, channels, 3, 3), channels * 9, i + 1), np.zeros(filters, np.float32)]
        channels = filters
    for i, (n, m) in enumerate(((512 * 7 * 7, 4096), (4096, 4096), (4096, 1000))):
        parameters += [weights((n, m), n, i + 21), np.zeros(m, np.float32)]
    return uniform((batch, 3, 224, 224), 5, 0, 1), labels(batch, 1000, 6), parameters


class Implementation:
    """One way in which a library does the work. `value(call())` is a number by which all sides are compared."""

    def __init__(self, call, value, finish=lambda result: result):
        self.begin = time.perf_counter()
        self.call = call
        self.value = value
        self.finish = finish

    def run(self):
        return self.finish(self.call())

    def first_call(self):
        self.run()
        return time.perf_counter() - self.begin

    def check(self):
        return float(self.value(self.run()))

    def measure(self, seconds):
        call, finish, clock = self.call, self.finish, time.perf_counter
        calls, elapsed = 1, 0.0
        while True:  # batches long enough for the clock
            begin = clock()
            for _ in range(calls):
                result = call()
            finish(result)
            elapsed = clock() - begin
            if elapsed > 0.003:
                break
            calls *= 2
        samples, spent = [], 0.0
        while spent < seconds:
            begin = clock()
            for _ in range(calls):
                result = call()
            finish(result)
            elapsed = clock() - begin
            samples.append(elapsed / calls)
            spent += elapsed
        return float(np.median(samples))


def resident(field):
    """A field of /proc/self/status in bytes: VmRSS, or VmHWM, the most there was."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def sizes_of(words, set_precision):
    """The numbers among the words; what else is there is the precision."""
    precision = [word.split("=")[1] for word in words if word.startswith("precision=")]
    set_precision(precision[0] if precision else "ieee")
    return [int(word) for word in words if "=" not in word]


def once(makers, implementation, kind, sizes):
    start = resident("VmRSS")
    made = makers[kind](*sizes) if kind in makers else {}
    if implementation not in made:
        return {"unsupported": True}
    work = made[implementation]()
    seconds = work.first_call()
    check = work.check()
    for _ in range(10):
        work.run()
    return {"seconds": seconds, "check": check, "memory": resident("VmHWM") - start}


def serve(makers, version, set_precision):
    """`makers[kind](*sizes)` gives a dictionary of name -> function that makes an Implementation;
    `set_precision("ieee" or "tf32")` comes before."""
    answer = sys.stdout
    sys.stdout = sys.stderr  # what the libraries print is no answer
    if sys.argv[1:2] == ["once"]:
        sizes = sizes_of(sys.argv[4:], set_precision)
        print(json.dumps(once(makers, sys.argv[2], sys.argv[3], sizes)), file=answer, flush=True)
        sys.stdin.read()
        return
    ready = {}
    for line in sys.stdin:
        request = line.split()
        if request[0] == "quit":
            return
        try:
            if request[0] == "prepare":
                ready.clear()
                reply = {"version": version, "implementations": {}}
                if request[1] in makers:
                    for name, make in makers[request[1]](*sizes_of(request[2:], set_precision)).items():
                        if name not in WANTED:
                            continue
                        work = make()
                        first = work.first_call()
                        reply["implementations"][name] = {"first_call": first, "check": work.check()}
                        ready[name] = work
            else:
                reply = {"seconds": ready[request[1]].measure(float(request[2]))}
        except Exception as error:  # the runner reports it and goes on with other work
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(reply), file=answer, flush=True)
