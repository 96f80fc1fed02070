"""Writes print.npz, arrays of every dtype, byte order and layout, and print.txt, what NumPy's str() says of each.

Run it with NumPy 2 to extend the cases; tests/tensor_print_test.cpp reads both files.
"""

import pathlib

import numpy as np

folder = pathlib.Path(__file__).parent
rng = np.random.default_rng(1)
dtypes = "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()
shapes = [(), (0,), (1,), (7,), (30,), (1001,), (3, 4), (2, 0, 3), (8, 9), (2, 3, 5), (7, 2, 9, 8), (1, 2, 1, 2, 2)]


def values(kind, shape):
    if kind == 0:
        return rng.standard_normal(shape)
    if kind == 1:
        return rng.integers(-10, 200, shape) * 0.25
    if kind == 2:
        return np.exp(rng.standard_normal(shape) * 20)
    if kind == 3:
        return np.round(rng.standard_normal(shape) * 100, 2)
    a = rng.standard_normal(shape) * 10.0 ** int(rng.integers(-8, 9))
    flat = np.array(a).reshape(-1)
    for special in (np.nan, np.inf, -np.inf, -0.0):
        if flat.size and rng.integers(0, 2):
            flat[rng.integers(0, flat.size)] = special
    return flat.reshape(shape)


arrays = {}
with np.errstate(all="ignore"):
    for dtype in dtypes:
        for shape in shapes:
            for kind in range(5):
                if kind > (4 if dtype[0] == "f" else 1) or (kind > 0 and np.prod(shape) > 1000):
                    continue
                a = np.asarray(values(kind, shape)).astype(dtype)
                order = rng.integers(0, 3)
                if order == 1:
                    a = a.astype(a.dtype.newbyteorder(">"))
                if order == 2 and a.ndim:
                    a = np.asfortranarray(a)
                arrays[f"{len(arrays):04}"] = a
np.savez_compressed(folder / "print.npz", **arrays)
(folder / "print.txt").write_text("".join(str(a) + "\n%%\n" for a in arrays.values()))
