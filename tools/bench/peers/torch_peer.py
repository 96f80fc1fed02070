"""PyTorch's versions of the work, eager and compiled."""

import warnings

import torch
import torch.nn.functional as F
from peer import Implementation, layers_numbers, lenet_numbers, serve, uniform

torch.set_num_threads(2)
warnings.filterwarnings("ignore")
RATE = 0.1


def plain(call):
    """Eager and compiled: `call` is a function of no arguments, made anew for each."""
    return {
        "PyTorch": lambda: Implementation(call, mean),
        "PyTorch-compile": lambda: Implementation(torch.compile(call, dynamic=False), mean),
    }


def mean(result):
    return result.double().mean()


def step(loss, parameters, value=None):
    """A step of gradient descent on `loss(parameters)`: by autograd, and as one compiled function."""

    def tensors():
        return [torch.from_numpy(p.copy()) for p in parameters]

    def eager():
        leaves = [t.requires_grad_() for t in tensors()]

        def call():
            cost = loss(leaves)
            gradients = torch.autograd.grad(cost, leaves)
            with torch.no_grad():
                torch._foreach_add_(leaves, gradients, alpha=-RATE)
            return cost.detach()

        return Implementation(call, (lambda cost: value(leaves)) if value else mean)

    def compiled():
        leaves = tensors()
        gradients_of = torch.func.grad_and_value(loss)

        @torch.compile(dynamic=False)
        def update(leaves):
            gradients, cost = gradients_of(leaves)
            for p, g in zip(leaves, gradients):
                p.sub_(g, alpha=RATE)
            return cost

        return Implementation(lambda: update(leaves), (lambda cost: value(leaves)) if value else mean)

    return {"PyTorch": eager, "PyTorch-compile": compiled}


def lenet_step(batch, first, second):
    images, targets, parameters = lenet_numbers(batch, first, second)
    x, y = torch.from_numpy(images), torch.from_numpy(targets).long()

    def loss(p):
        h = torch.tanh(F.max_pool2d(F.conv2d(x, p[0]), 2) + p[1].view(1, -1, 1, 1))
        h = torch.tanh(F.max_pool2d(F.conv2d(h, p[2]), 2) + p[3].view(1, -1, 1, 1))
        h = torch.tanh(torch.addmm(p[5], h.flatten(1), p[4]))
        return F.cross_entropy(torch.addmm(p[7], h, p[6]), y)

    return step(loss, parameters)


def moons_step(points, hidden):
    rows, targets, parameters = layers_numbers(points, 2, hidden, 2)
    x, y = torch.from_numpy(rows), torch.from_numpy(targets).long()

    def loss(p):
        cost = F.cross_entropy(torch.addmm(p[3], torch.tanh(torch.addmm(p[1], x, p[0])), p[2]), y)
        return cost + 0.01 / 2 / points * (p[0].square().sum() + p[2].square().sum())

    return step(loss, parameters, lambda p: p[0].detach().abs().mean())


def mlp_step(batch, *widths):
    rows, targets, parameters = layers_numbers(batch, *widths)
    x, y = torch.from_numpy(rows), torch.from_numpy(targets).long()

    def loss(p):
        h = x
        for i in range(0, len(p) - 2, 2):
            h = torch.tanh(torch.addmm(p[i + 1], h, p[i]))
        return F.cross_entropy(torch.addmm(p[-1], h, p[-2]), y)

    return step(loss, parameters)


def chain(n):
    a, b, c, d = (torch.from_numpy(uniform((n,), seed)) for seed in (1, 2, 3, 4))
    return plain(lambda: torch.tanh(a * b + c) * torch.sigmoid(d) + torch.log1p(torch.exp(-torch.abs(a))))


def unary(function):
    def make(*shape):
        x = torch.from_numpy(uniform(shape, 1))
        return plain(lambda: function(x))

    return make


def pool_forward(n, channels, side, window, stride):
    x = torch.from_numpy(uniform((n, channels, side, side), 1))
    last = x.to(memory_format=torch.channels_last)
    return {
        "PyTorch": lambda: Implementation(lambda: F.max_pool2d(x, window, stride), mean),
        "PyTorch-nhwc": lambda: Implementation(lambda: F.max_pool2d(last, window, stride), mean),
        "PyTorch-compile": lambda: Implementation(
            torch.compile(lambda: F.max_pool2d(x, window, stride), dynamic=False), mean
        ),
    }


def pool_backward(n, channels, side, window, stride):
    x = torch.from_numpy(uniform((n, channels, side, side), 1))

    def make(memory_format):
        def work():
            image = x.to(memory_format=memory_format)
            out, indices = F.max_pool2d(image, window, stride, return_indices=True)
            gradient = torch.from_numpy(uniform(tuple(out.shape), 2)).to(memory_format=memory_format)
            return Implementation(
                lambda: torch.ops.aten.max_pool2d_with_indices_backward(
                    gradient, image, [window] * 2, [stride] * 2, [0, 0], [1, 1], False, indices
                ),
                mean,
            )

        return work

    return {"PyTorch": make(torch.contiguous_format), "PyTorch-nhwc": make(torch.channels_last)}


def convolution(direction):
    def make(n, channels, side, filters, width, stride, pad, dilation, groups):
        image = torch.from_numpy(uniform((n, channels, side, side), 1))
        kernel = torch.from_numpy(uniform((filters, channels // groups, width, width), 2))
        output = F.conv2d(image, kernel, None, stride, pad, dilation, groups)
        gradient = torch.from_numpy(uniform(tuple(output.shape), 3))
        mask = [direction == "inputs", direction == "weights", False]

        def work(memory_format):
            x, w, g = (t.to(memory_format=memory_format) for t in (image, kernel, gradient))
            if direction == "forward":
                return Implementation(lambda: F.conv2d(x, w, None, stride, pad, dilation, groups), mean)
            return Implementation(
                lambda: torch.ops.aten.convolution_backward(
                    g, x, w, None, [stride] * 2, [pad] * 2, [dilation] * 2, False, [0, 0], groups, mask
                )[mask.index(True)],
                mean,
            )

        return {
            "PyTorch": lambda: work(torch.contiguous_format),
            "PyTorch-nhwc": lambda: work(torch.channels_last),
        }

    return make


def scalar_call():
    x = torch.tensor(2.0)
    add = torch.compile(lambda x: x + 1)
    return {
        "PyTorch": lambda: Implementation(lambda: x + 1, mean),
        "PyTorch-compile": lambda: Implementation(lambda: add(x), mean),
    }


serve(
    {
        "lenet_step": lenet_step,
        "moons_step": moons_step,
        "mlp_step": mlp_step,
        "chain": chain,
        "exp": unary(torch.exp),
        "scale": unary(lambda x: 2 * x),
        "softmax": unary(lambda x: torch.softmax(x, -1)),
        "logsumexp": unary(lambda x: torch.logsumexp(x, -1)),
        "sum_0": unary(lambda x: x.sum(0)),
        "sum_1": unary(lambda x: x.sum(1)),
        "sum_all": unary(lambda x: x.sum()),
        "transpose": unary(lambda x: x.t().contiguous()),
        "pool_forward": pool_forward,
        "pool_backward": pool_backward,
        "conv_forward": convolution("forward"),
        "conv_inputs": convolution("inputs"),
        "conv_weights": convolution("weights"),
        "scalar_call": scalar_call,
    },
    torch.__version__,
)
