#!/usr/bin/env python3
"""Checks who includes whom: layers.py ROOT prints every include that breaks the order of the layers and fails.

An include in a layer may only name its own layer or one below; LLVM, CUDA and oneDNN are seen by files named for them
only; the public headers, those that croton/croton.h reaches, include the standard library only.
"""

import pathlib
import re
import sys

BELOW = {
    "graph": {"graph"},
    "ops": {"graph", "ops"},
    "optimizer": {"graph", "ops", "optimizer"},
    "codegen": {"graph", "ops", "codegen"},
    "runtime": {"graph", "ops", "optimizer", "codegen", "runtime"},
}
# What is included -> the prefix of the files that may, and the layers these lie in.
GUARDED = [
    (re.compile(r"llvm(-c)?/"), "llvm_", {"codegen"}),
    (re.compile(r"(cuda|nvrtc|cublas|cudnn|cufft|nccl|nv)\w*\.h|cuda/"), "cuda_", {"codegen", "runtime"}),
    (re.compile(r"(oneapi/)?dnnl|omp\.h"), "dnn_", {"codegen", "runtime"}),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
STANDARD = re.compile(r"[a-z_0-9]+$")


def includes(path):
    """(line number, quote or angle bracket, name) of every include of a file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def own_file(root, name):
    """The file that "croton/…" stands for."""
    return root / "runtime/croton.h" if name == "croton/croton.h" else root / name.removeprefix("croton/")


def check_layer_file(root, layer, path):
    for number, bracket, name in includes(path):
        where = f"{path.relative_to(root)}:{number}: "
        if name.startswith("croton/"):
            target = own_file(root, name)
            if not target.is_file():
                yield f"{where}{name} does not exist"
            elif target.parent.name not in BELOW[layer]:
                yield f"{where}{layer}/ must not include {name}"
        elif bracket == '"':
            yield f'{where}write "croton/<folder>/{name}"'
        for pattern, prefix, layers in GUARDED:
            if pattern.match(name) and not (layer in layers and path.name.startswith(prefix)):
                yield f"{where}<{name}> belongs into {' or '.join(sorted(layers))}/{prefix}* only"


def check_public_headers(root):
    seen, todo = set(), ["croton/croton.h"]
    while todo:
        name = todo.pop()
        path = own_file(root, name)
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        for number, bracket, included in includes(path):
            if included.startswith("croton/"):
                todo.append(included)
            elif not (bracket == "<" and STANDARD.match(included)):
                where = f"{path.relative_to(root)}:{number}"
                yield f"{where}: a public header must not include <{included}>, only the standard library"


def check(root):
    if not (root / "runtime/croton.h").is_file():
        yield "runtime/croton.h does not exist"
    for layer in BELOW:
        for path in sorted([*(root / layer).glob("**/*.h"), *(root / layer).glob("**/*.cpp")]):
            yield from check_layer_file(root, layer, path)
    yield from check_public_headers(root)


if __name__ == "__main__":
    problems = list(check(pathlib.Path(sys.argv[1])))
    print("\n".join(problems) or "the layers are in order")
    sys.exit(1 if problems else 0)
