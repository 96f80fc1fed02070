"""Writes elementwise.txt: what each row of the elementwise table gives on each dtype, by NumPy 2 and mpmath.

A line is `row dtype dtype-of-the-result operand | operand | … | result`, values separated by blanks. Functions are
computed in float64 (or by mpmath) and rounded once to the dtype of the result; integers become float32, the default
floatX, where the row is floating. tests/elementwise_values_test.cpp reads the file.
"""

import pathlib

import mpmath
import numpy as np

mpmath.mp.dps = 40
folder = pathlib.Path(__file__).parent
ints = "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
floats = "float16 float32 float64".split()
lines = []


def text(array):
    return " ".join(str(x) if array.dtype.kind != "b" else str(int(x)) for x in array.tolist())


def line(row, arguments, result):
    operands = " | ".join(text(a) for a in (*arguments, result))
    lines.append(f"{row} {arguments[-1].dtype} {result.dtype} {operands}")


def integer_values(dtype, count=9):
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    values = [0, 1, 2, 3, 7, 100, high, high - 1, low, low + 1, 5, 64]
    if low < 0:
        values = [0, 1, -1, 2, -3, 7, -100, high, low, 5, 64, -8]
    return np.array(values[:count], dtype)


unary_floats = [0.0, -0.0, 0.5, -0.5, 1, -1, 1.5, 2.5, -2.5, 3, 10, -7.25, 0.001, 40, np.nan, np.inf, -np.inf]
pairs = [(0, 0), (-0.0, 0), (1, 2), (-1, 2), (2, -1), (7.5, 2), (-7.5, 2), (7.5, -2), (0.5, 0.25), (3, 3), (1, 0), (-1, 0),
         (0, 3), (100, 0.125), (np.nan, 1), (1, np.nan), (np.inf, 1), (1, np.inf), (-np.inf, 2), (2, -np.inf),
         (np.inf, np.inf), (np.inf, -np.inf)]


def by_mpmath(function):
    def at(*x):
        if any(np.isnan(v) for v in x):
            return np.nan
        if function is psi and x[0] == 0:
            return -np.copysign(np.inf, x[0])
        try:
            value = function(*(mpmath.mpf(float(v)) for v in x))
            return float(value.real) if abs(mpmath.im(value)) == 0 else np.nan
        except (ValueError, ZeroDivisionError):
            return np.nan

    return lambda *x: np.array([at(*v) for v in zip(*x)], "float64")


def softplus(x):
    return mpmath.mpf(0) if x == -mpmath.inf else x if x == mpmath.inf else mpmath.log1p(mpmath.exp(x))


def sigmoid(x):
    return mpmath.mpf(0) if x == -mpmath.inf else 1 / (1 + mpmath.exp(-x))


def logaddexp(a, b):
    if a == b:
        return a + mpmath.log(2)
    high, low = max(a, b), min(a, b)
    return high if mpmath.isinf(high) else high + softplus(low - high)


def gammaln(x):
    if x == mpmath.inf:
        return x
    return mpmath.inf if x <= 0 and x == mpmath.floor(x) else mpmath.log(abs(mpmath.gamma(x)))


def psi(x):
    if x == -mpmath.inf or (x < 0 and x == mpmath.floor(x)):
        return mpmath.nan
    return x if x == mpmath.inf else mpmath.digamma(x)


floating = {
    "reciprocal": np.reciprocal, "sqrt": np.sqrt, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "arcsinh": np.arcsinh, "arccosh": np.arccosh, "arctanh": np.arctanh, "erf": by_mpmath(mpmath.erf),
    "erfc": by_mpmath(mpmath.erfc), "gammaln": by_mpmath(gammaln), "psi": by_mpmath(psi),
    "sigmoid": by_mpmath(sigmoid), "softplus": by_mpmath(softplus),
}
same_unary = {"neg": np.negative, "sqr": np.square, "abs": np.abs, "sgn": np.sign, "floor": np.floor, "ceil": np.ceil,
              "trunc": np.trunc, "round": np.round, "identity": np.positive}
same_binary = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "floor_div": np.floor_divide, "mod": np.remainder,
               "maximum": np.maximum, "minimum": np.minimum}
predicates = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
              "neq": np.not_equal}
bits = {"and_": np.bitwise_and, "or_": np.bitwise_or, "xor_": np.bitwise_xor}
booleans = np.array([False, False, True, True]), np.array([False, True, False, True])

with np.errstate(all="ignore"):
    for name, function in floating.items():
        for dtype in floats:
            x = np.array(unary_floats, dtype)
            line(name, [x], function(x.astype("float64")).astype(dtype))
        for dtype in ints + ["bool"]:
            x = booleans[1][:2] if dtype == "bool" else integer_values(dtype, 4)
            line(name, [x], function(x.astype("float32").astype("float64")).astype("float32"))
    for name, function in {"true_div": np.divide, "arctan2": np.arctan2, "logaddexp": by_mpmath(logaddexp)}.items():
        for dtype in floats:
            a, b = np.array(pairs, dtype).T
            line(name, [a, b], function(a.astype("float64"), b.astype("float64")).astype(dtype))
        for dtype in ints + ["bool"]:
            a, b = (v[:4] for v in booleans) if dtype == "bool" else (integer_values(dtype, 4), integer_values(dtype, 5)[1:])
            line(name, [a, b], function(a.astype("float64"), b.astype("float64")).astype("float32"))
    for dtype in floats:
        a, b = np.array(pairs, dtype).T
        line("pow", [a, b], np.power(a.astype("float64"), b.astype("float64")).astype(dtype))
    for dtype in ints:
        a = integer_values(dtype)
        b = np.array([0, 1, 2, 3, 4, 5, 6, 7, 3], dtype)
        line("pow", [a, b], np.power(a, b))
    for name, function in same_unary.items():
        for dtype in floats:
            x = np.array(unary_floats, dtype)
            line(name, [x], function(x))
        for dtype in ints:
            x = integer_values(dtype)
            line(name, [x], function(x).astype(dtype))
        if name not in ("neg", "sgn", "sqr", "round", "identity"):
            line(name, [booleans[1][:2]], function(booleans[1][:2]))
    for name, function in {**same_binary, **predicates}.items():
        for dtype in floats:
            a, b = np.array(pairs, dtype).T
            line(name, [a, b], function(a, b))
        for dtype in ints:
            a = integer_values(dtype)
            for b in (np.roll(a, 1), np.roll(a, -2)):
                line(name, [a, b], function(a, b))
        if name != "sub":
            line(name, list(booleans), function(*booleans))
    for name, function in {"isnan": np.isnan, "isinf": np.isinf}.items():
        for dtype in floats + ints + ["bool"]:
            x = np.array(unary_floats, dtype) if dtype in floats else booleans[0] if dtype == "bool" else integer_values(dtype)
            line(name, [x], function(x))
    for dtype in ints + ["bool"]:
        a = booleans[0] if dtype == "bool" else integer_values(dtype)
        b = booleans[1] if dtype == "bool" else np.roll(a, 1)
        for name, function in bits.items():
            line(name, [a, b], function(a, b))
        line("invert", [a], np.invert(a))
    for dtype in ints:
        width = 8 * np.dtype(dtype).itemsize
        a = integer_values(dtype)
        b = np.array([0, 1, 2, 3, width - 1, width, 100, 4, 1], dtype)
        line("lshift", [a, b], np.left_shift(a, b))
        line("rshift", [a, b], np.right_shift(a, b))
    for dtype in floats + ints + ["bool"]:
        if dtype == "bool":
            x, low, high = booleans[1], np.array([False, False, True, False]), np.array([True, False, True, True])
        elif dtype in ints:
            x = integer_values(dtype)
            low, high = np.full(x.shape, 1, dtype), np.full(x.shape, 6, dtype)
        else:
            x = np.array(unary_floats, dtype)
            low, high = np.full(x.shape, -1.25, dtype), np.full(x.shape, 2, dtype)
        line("clip", [x, low, high], np.clip(x, low, high))
        condition = np.arange(x.size) % 3 == 0
        line("switch", [condition, x, high], np.where(condition, x, high))

(folder / "elementwise.txt").write_text("\n".join(lines) + "\n")
