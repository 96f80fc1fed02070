#!/usr/bin/env python3
"""Compares the reference convolutions of Croton with PyTorch's, in float64, on the problems that the test
[conv_problems] has saved (CROTON_CONV_FOLDER):

    tests/conv_agreement.py FOLDER

Says how many agree within 1e-12 of the largest result; fails where one does not."""

import pathlib
import re
import sys

import numpy
import torch
import torch.nn.functional as F

LIMIT = 1e-12
LINE = re.compile(r"conv(?P<rank>\d)d (?P<direction>\w+) \w+ image (?P<image>[\dx]+) filters (?P<filters>[\dx]+) "
                  r"out (?P<out>[\dx]+) pad (?P<lo>[\d,]+)\.\.(?P<hi>[\d,]+) stride (?P<stride>[\d,]+) "
                  r"dilation (?P<dilation>[\d,]+) groups (?P<groups>\d+)(?P<flip> flip)?")


def numbers(text):
    return [int(n) for n in re.split("[x,]", text)]


def convolution(image, filters, p):
    axes = int(p["rank"])
    if p["flip"]:
        filters = filters.flip(tuple(range(2, 2 + axes)))
    pads = [n for pair in zip(reversed(numbers(p["lo"])), reversed(numbers(p["hi"]))) for n in pair]
    conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[axes]
    return conv(F.pad(image, pads), filters, None, numbers(p["stride"]), 0, numbers(p["dilation"]),
                int(p["groups"]))


def of_pytorch(p, first, second):
    image = first if p["direction"] != "backward_inputs" else torch.zeros(numbers(p["image"]), dtype=first.dtype)
    filters = {"forward": second, "backward_inputs": first}.get(p["direction"])
    if filters is None:
        filters = torch.zeros(numbers(p["filters"]), dtype=first.dtype)
    image, filters = image.clone().requires_grad_(), filters.clone().requires_grad_()
    output = convolution(image, filters, p)
    if p["direction"] == "forward":
        return output.detach()
    wanted = image if p["direction"] == "backward_inputs" else filters
    return torch.autograd.grad(output, wanted, second)[0]


def main():
    agree, differ, empty = 0, 0, 0
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.txt")):
        text = file.read_text(encoding="utf-8").strip()
        p = LINE.match(text)
        name = str(file)[:-4]
        first, second, result = (torch.from_numpy(numpy.load(f"{name}.{part}.npy"))
                                 for part in ("first", "second", "result"))
        if 0 in (*first.shape, *second.shape, *result.shape):
            empty += 1  # PyTorch refuses these
            continue
        got = of_pytorch(p, first, second)
        largest = max(1.0, result.abs().max().item())
        error = (got - result).abs().max().item() / largest if got.shape == result.shape else float("inf")
        agree += error <= LIMIT
        if error > LIMIT:
            differ += 1
            print(f"{text}: {error:.1e}, shape {tuple(got.shape)} for {tuple(result.shape)}")
    print(f"{agree} agree, {differ} differ, {empty} without elements")
    return 1 if differ or not agree else 0


if __name__ == "__main__":
    sys.exit(main())
