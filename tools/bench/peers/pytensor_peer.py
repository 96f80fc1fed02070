"""PyTensor's versions of the work. It has no pooling, and so no LeNet."""

import sys
import warnings

import numpy as np
import pytensor
import pytensor.tensor as pt
from peer import Implementation, layers_numbers, serve, uniform

warnings.filterwarnings("ignore")
pytensor.config.floatX = "float32"
RATE = np.float32(0.1)


def compiled(inputs, outputs, values, value=np.mean, **options):
    """A compiled function, which trusts that its arguments have the right type."""
    f = pytensor.function(inputs, outputs, **options)
    f.trust_input = True
    return f, value, values


def only(make):
    def work():
        work = Implementation(None, None)  # its clock starts here
        f, value, values = make()
        work.call, work.value = lambda: f(*values), value
        return work

    return {"PyTensor": work}


def crossentropy(logits, y):
    return -pt.mean(pt.special.log_softmax(logits, axis=1)[pt.arange(y.shape[0]), y])


def step(loss, rows, targets, parameters, value=None):
    def make():
        x, y = pt.matrix("x"), pt.ivector("y")
        p = [pytensor.shared(v.copy()) for v in parameters]
        cost = loss(p, x, y)
        updates = [(a, a - RATE * g) for a, g in zip(p, pytensor.grad(cost, p))]
        outputs, of = ([], lambda _: value(p)) if value else (cost, np.mean)
        return compiled([x, y], outputs, (rows, targets), of, updates=updates)

    return only(make)


def moons_step(points, hidden):
    def loss(p, x, y):
        cost = crossentropy(pt.dot(pt.tanh(pt.dot(x, p[0]) + p[1]), p[2]) + p[3], y)
        return cost + np.float32(0.01 / 2 / points) * (pt.sum(p[0] ** 2) + pt.sum(p[2] ** 2))

    rows, targets, parameters = layers_numbers(points, 2, hidden, 2)
    return step(loss, rows, targets, parameters, lambda p: np.abs(p[0].get_value()).mean())


def mlp_step(batch, *widths):
    def loss(p, x, y):
        for i in range(0, len(p) - 2, 2):
            x = pt.tanh(pt.dot(x, p[i]) + p[i + 1])
        return crossentropy(pt.dot(x, p[-2]) + p[-1], y)

    return step(loss, *layers_numbers(batch, *widths))


def chain(n):
    values = [uniform((n,), seed) for seed in (1, 2, 3, 4)]

    def make():
        a, b, c, d = inputs = pt.vectors("abcd")
        result = pt.tanh(a * b + c) * pt.sigmoid(d) + pt.log1p(pt.exp(-pt.abs(a)))
        return compiled(inputs, result, values)

    return only(make)


def unary(function):
    def work(*shape):
        value = uniform(shape, 1)

        def make():
            x = pt.tensor("x", dtype="float32", shape=(None,) * len(shape))
            return compiled([x], function(x), (value,))

        return only(make)

    return work


def scalar_call():
    def make():
        x = pt.fscalar("x")
        return compiled([x], x + np.float32(1), (np.asarray(2, np.float32),))

    return only(make)


def tanh_chain(nodes):
    if nodes > 3000:
        return {}  # 25 seconds for 12,000, minutes for 48,000
    value = uniform((16,), 1)
    sys.setrecursionlimit(20 * nodes)

    def make():
        x = pt.vector("x")
        v = [x]
        for i in range(nodes // 3):
            v.append(pt.tanh(np.float32(1.5) * v[i] + v[max(i - 6, 0)]))
        return compiled([x], v[-1], (value,))

    return only(make)


serve(
    {
        "moons_step": moons_step,
        "mlp_step": mlp_step,
        "chain": chain,
        "exp": unary(pt.exp),
        "scale": unary(lambda x: np.float32(2) * x),
        "softmax": unary(lambda x: pt.special.softmax(x, axis=-1)),
        "logsumexp": unary(lambda x: pt.logsumexp(x, axis=-1)),
        "sum_0": unary(lambda x: x.sum(0)),
        "sum_1": unary(lambda x: x.sum(1)),
        "sum_all": unary(lambda x: x.sum()),
        "transpose": unary(lambda x: pt.as_tensor(x.T).copy()),
        "scalar_call": scalar_call,
        "tanh_chain": tanh_chain,
    },
    pytensor.__version__,
    lambda precision: None,  # of the CPU's arithmetic there is one
)
