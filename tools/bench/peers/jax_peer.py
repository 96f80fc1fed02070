"""JAX's versions of the work, each one jitted function."""

import os

import jax
import jax.numpy as jnp
from jax import lax
from peer import Implementation, layers_numbers, lenet_numbers, serve, uniform

if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
RATE = 0.1


def set_precision(precision):
    jax.config.update("jax_default_matmul_precision", {"ieee": "float32", "tf32": "tensorfloat32"}[precision])


def mean(result):
    return jnp.mean(result)


def only(function, *arguments):
    return {
        "JAX": lambda: Implementation(
            lambda f=jax.jit(function): f(*arguments), mean, lambda result: result.block_until_ready()
        )
    }


def crossentropy(logits, y):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))


def step(loss, parameters, value=None):
    """A step of gradient descent on `loss(parameters, x, y)`, its parameters given up to the new ones."""

    def make(x, y):
        state = [jnp.asarray(p) for p in parameters]

        def update(p, x, y):
            cost, gradients = jax.value_and_grad(loss)(p, x, y)
            return cost, [a - RATE * g for a, g in zip(p, gradients)]

        update = jax.jit(update, donate_argnums=0)

        def call():
            nonlocal state
            cost, state = update(state, x, y)
            return cost

        def finish(cost):
            jax.block_until_ready(state)
            return cost.block_until_ready()

        return Implementation(call, (lambda cost: value(state)) if value else mean, finish)

    return make


def pooled(x, window, stride):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, window, window), (1, 1, stride, stride), "VALID")


def lenet_step(batch, first, second):
    images, targets, parameters = lenet_numbers(batch, first, second)

    def convolve(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "VALID")

    def loss(p, x, y):
        h = jnp.tanh(pooled(convolve(x, p[0]), 2, 2) + p[1][:, None, None])
        h = jnp.tanh(pooled(convolve(h, p[2]), 2, 2) + p[3][:, None, None])
        h = jnp.tanh(h.reshape(batch, -1) @ p[4] + p[5])
        return crossentropy(h @ p[6] + p[7], y)

    x, y = jnp.asarray(images), jnp.asarray(targets)
    return {"JAX": lambda: step(loss, parameters)(x, y)}


def moons_step(points, hidden):
    rows, targets, parameters = layers_numbers(points, 2, hidden, 2)

    def loss(p, x, y):
        cost = crossentropy(jnp.tanh(x @ p[0] + p[1]) @ p[2] + p[3], y)
        return cost + 0.01 / 2 / points * (jnp.sum(p[0] ** 2) + jnp.sum(p[2] ** 2))

    x, y = jnp.asarray(rows), jnp.asarray(targets)
    return {"JAX": lambda: step(loss, parameters, lambda p: jnp.mean(jnp.abs(p[0])))(x, y)}


def mlp_step(batch, *widths):
    rows, targets, parameters = layers_numbers(batch, *widths)

    def loss(p, x, y):
        for i in range(0, len(p) - 2, 2):
            x = jnp.tanh(x @ p[i] + p[i + 1])
        return crossentropy(x @ p[-2] + p[-1], y)

    x, y = jnp.asarray(rows), jnp.asarray(targets)
    return {"JAX": lambda: step(loss, parameters)(x, y)}


def chain(n):
    def work(a, b, c, d):
        return jnp.tanh(a * b + c) * jax.nn.sigmoid(d) + jnp.log1p(jnp.exp(-jnp.abs(a)))

    return only(work, *(jnp.asarray(uniform((n,), seed)) for seed in (1, 2, 3, 4)))


def unary(function):
    return lambda *shape: only(function, jnp.asarray(uniform(shape, 1)))


def pool_forward(n, channels, side, window, stride):
    x = jnp.asarray(uniform((n, channels, side, side), 1))
    return only(lambda x: pooled(x, window, stride), x)


def pool_backward(n, channels, side, window, stride):
    x = jnp.asarray(uniform((n, channels, side, side), 1))
    out = (side - window) // stride + 1
    gradient = jnp.asarray(uniform((n, channels, out, out), 2))
    return only(lambda x, g: jax.vjp(lambda x: pooled(x, window, stride), x)[1](g)[0], x, gradient)


def lrn(n, channels, side, size):
    def normalized(x):
        squares = lax.reduce_window(jnp.square(x), 0.0, lax.add, (1, size, 1, 1), (1, 1, 1, 1), "SAME")
        return x * (1 + 1e-4 / size * squares) ** -0.75

    return only(normalized, jnp.asarray(uniform((n, channels, side, side), 1)))


serve(
    {
        "lenet_step": lenet_step,
        "moons_step": moons_step,
        "mlp_step": mlp_step,
        "chain": chain,
        "exp": unary(jnp.exp),
        "scale": unary(lambda x: 2 * x),
        "lrn": lrn,
        "softmax": unary(jax.nn.softmax),
        "logsumexp": unary(lambda x: jax.nn.logsumexp(x, -1)),
        "sum_0": unary(lambda x: x.sum(0)),
        "sum_1": unary(lambda x: x.sum(1)),
        "sum_all": unary(lambda x: x.sum()),
        "transpose": unary(lambda x: x.T),
        "pool_forward": pool_forward,
        "pool_backward": pool_backward,
        "scalar_call": lambda: only(lambda x: x + 1, jnp.float32(2)),
    },
    jax.__version__,
    set_precision,
)
