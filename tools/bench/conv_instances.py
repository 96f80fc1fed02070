#!/usr/bin/env python3
"""conv_bench with optimizer_including=conv_meta beside PyTorch with cudnn.benchmark, on the same GPU in the same run:
fifteen convolutions in three directions, in float32 and with TF32 allowed, each side in the better of the layouts bc01
and b01c (channels last; Croton only where that lets cuDNN use tensor cores), with the same libraries. Prints a table in milliseconds and the geometric mean of the ratios.

    tools/bench/conv_instances.py FOLDER_OF_CONV_BENCH [--precision ieee|tf32|both] [--only L1,DW] [--seconds N] [--layout bc01|b01c|both]
"""

import argparse
import glob
import json
import math
import os
import subprocess
import tempfile
import time

import torch

ROWS_AT_ONCE = 5  # in a process, which loads libraries once
PASSES = ["fprop", "bprop inputs", "bprop weights"]
# Name: batch, channels, image, filters, kernel, stride, padding, dilation, groups.
ROWS = {
    "L1": (128, 3, (128, 128), 96, (11, 11), 1, 0, 1, 1),
    "L2": (128, 64, (64, 64), 128, (9, 9), 1, 0, 1, 1),
    "L3": (128, 128, (32, 32), 128, (9, 9), 1, 0, 1, 1),
    "L4": (128, 128, (16, 16), 128, (7, 7), 1, 0, 1, 1),
    "L5": (128, 384, (13, 13), 384, (3, 3), 1, 0, 1, 1),
    "V256": (64, 256, (28, 28), 256, (3, 3), 1, 1, 1, 1),
    "P1x1": (64, 256, (28, 28), 512, (1, 1), 1, 0, 1, 1),
    "DCD64": (128, 3, (64, 64), 128, (3, 3), 1, 2, 2, 1),
    "DCD32": (128, 3, (32, 32), 128, (3, 3), 1, 2, 2, 1),
    "DCD16": (128, 3, (16, 16), 128, (3, 3), 1, 2, 2, 1),
    "DCDwide": (64, 128, (32, 32), 128, (3, 3), 1, 2, 2, 1),
    "C3D": (16, 16, (16, 16, 16), 32, (3, 3, 3), 1, 1, 1, 1),
    "A1": (128, 3, (224, 224), 96, (11, 11), 4, 2, 1, 1),
    "S2": (64, 128, (56, 56), 128, (3, 3), 2, 1, 1, 1),
    "DW": (64, 256, (28, 28), 256, (3, 3), 1, 1, 1, 256),
}


def configuration(row):
    batch, channels, image, filters, kernel, stride, pad, dilation, groups = row
    sides = "x".join(map(str, image))
    return (f"i{channels}x{sides},k{filters}x{'x'.join(map(str, kernel))},b{batch},s{stride},p{pad},d{dilation},"
            f"g{groups}")


def library_folders():
    """Where PyTorch's cuDNN and the libraries beside it lie: both sides are to use the same."""
    packages = os.path.dirname(os.path.dirname(os.path.abspath(torch.__file__)))
    return sorted(glob.glob(os.path.join(packages, "nvidia", "*", "lib")))


def takes_tensor_cores(row):
    """Whether cuDNN has kernels for tensor cores where the channels lie last: what a layout is tried for."""
    _, channels, _, filters, _, _, _, _, groups = row
    return groups == 1 and channels % 8 == 0 and filters % 8 == 0


def croton(folder, names, precision, layouts, deadline):
    """Milliseconds and algorithm by (layout, row, pass)."""
    environment = dict(os.environ, SKIP="default,legacy,gemm,fft,winograd,c01b,dnn", FLIP="0")
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(library_folders() + [environment.get("LD_LIBRARY_PATH", "")])
    flags = [environment.get("CROTON_FLAGS", ""), "device=cuda", f"precision={precision}"]
    environment["CROTON_FLAGS"] = ",".join(filter(None, flags))
    result = {}
    for layout in layouts:
        rows = [name for name in names if layout == "bc01" or (precision == "tf32" and takes_tensor_cores(ROWS[name]))]
        while rows and time.monotonic() < deadline:
            some, rows = rows[:ROWS_AT_ONCE], rows[ROWS_AT_ONCE:]
            with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
                command = [os.path.join(folder, "conv_bench"), *(configuration(ROWS[name]) for name in some), "--json",
                           file.name, "--repeat", "5", "--calls", "30", "--output", os.devnull]
                subprocess.run(command, env=dict(environment, LAYOUT=layout), stdout=subprocess.DEVNULL, check=False)
                # A line for every pass, in the order of the configurations.
                for number, one in enumerate(map(json.loads, open(file.name, encoding="utf-8"))):
                    if "microseconds" in one:
                        name = some[number // len(PASSES)]
                        result[layout, name, one["pass"]] = (one["microseconds"] / 1e3,
                                                             f"{layout}: {one.get('algorithm', '')}")
    return result


def milliseconds(call, calls=30, trials=5):
    """Of one call, recorded as a CUDA graph as a function of Croton is."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    best = math.inf
    for _ in range(trials):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(calls):
            graph.replay()
        end.record()
        end.synchronize()
        best = min(best, begin.elapsed_time(end) / calls)
    return best


def pytorch(row):
    """Milliseconds by (layout, pass)."""
    batch, channels, image, filters, kernel, stride, pad, dilation, groups = row
    axes = len(image)
    result = {}
    last = torch.channels_last if axes == 2 else torch.channels_last_3d
    for name, layout in (("bc01", torch.contiguous_format), ("b01c", last)):
        x = torch.rand((batch, channels, *image), device="cuda").to(memory_format=layout)
        w = torch.rand((filters, channels // groups, *kernel), device="cuda").to(memory_format=layout)
        options = ([stride] * axes, [pad] * axes, [dilation] * axes, False, [0] * axes, groups)
        y = torch.ops.aten.convolution(x, w, None, *options)
        gy = torch.rand_like(y)
        calls = {
            "fprop": lambda: torch.ops.aten.convolution(x, w, None, *options),
            "bprop inputs": lambda: torch.ops.aten.convolution_backward(gy, x, w, None, *options,
                                                                        [True, False, False]),
            "bprop weights": lambda: torch.ops.aten.convolution_backward(gy, x, w, None, *options,
                                                                         [False, True, False]),
        }
        for direction, call in calls.items():
            result[name, direction] = milliseconds(call)
    return result


def row_of(name, ours, theirs, layouts):
    """The row of a table, each side in the better of the layouts, and the ratios."""
    cells, ratios = [], []
    for one in PASSES:
        mine, algorithm = min(ours.get((layout, name, one), (math.inf, "failed")) for layout in layouts)
        peer = min(theirs[layout, one] for layout in layouts)
        if math.isfinite(mine):
            ratios.append(mine / peer)
        cells.append(f"{mine:.4f} / {peer:.4f} ({mine / peer:.2f}, {algorithm})")
    return f"| {name} | " + " | ".join(cells) + " |", ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--precision", choices=["ieee", "tf32", "both"], default="both")
    parser.add_argument("--only", default="")
    parser.add_argument("--layout", choices=["bc01", "b01c", "both"], default="both", help="of Croton's operands")
    parser.add_argument("--seconds", type=float, default=300, help="no further rows begin after so long")
    options = parser.parse_args()
    names = [name for name in ROWS if not options.only or name in options.only.split(",")]
    deadline = time.monotonic() + options.seconds
    torch.backends.cudnn.benchmark = True
    for precision in ["ieee", "tf32"] if options.precision == "both" else [options.precision]:
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        layouts = ["bc01", "b01c"] if options.layout == "both" else [options.layout]
        ours = croton(options.folder, names, precision, layouts, deadline)
        print(f"\nprecision={precision}: milliseconds of Croton / of PyTorch {torch.__version__} (ratio, algorithm)")
        ratios = []
        for name in names:
            if not any(key[1] == name for key in ours):
                continue
            theirs = pytorch(ROWS[name])
            row, of_row = row_of(name, ours, theirs, ["bc01", "b01c"])
            print(row, flush=True)
            ratios += of_row
            if name == "DW":  # which is another matter where channels do not lie last
                print(row_of(name, ours, theirs, ["bc01"])[0].replace("DW", "DW in bc01, not counted", 1))
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"{len(ratios)} instances, geometric mean {mean:.3f}, worst {max(ratios):.2f}, "
                  f"{sum(r > 1.05 for r in ratios)} above 1.05")


if __name__ == "__main__":
    main()
