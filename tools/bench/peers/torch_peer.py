"""PyTorch's versions of the work, eager and compiled; on a GPU also captured in a CUDA graph, as the compiled ones
are there too."""

import warnings

import torch
import torch.nn.functional as F
from peer import DEVICE, Implementation, layers_numbers, lenet_numbers, serve, uniform, vgg_numbers

ON_GPU = DEVICE == "cuda"
if ON_GPU:
    torch.backends.cudnn.benchmark = True
else:
    torch.set_num_threads(2)
warnings.filterwarnings("ignore")
RATE = 0.1


def set_precision(precision):
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def tensor(array):
    return torch.from_numpy(array).to(DEVICE)


def finish(result):
    if ON_GPU:
        torch.cuda.synchronize()
    return result


def work_of(call, value=None):
    return Implementation(call, value or mean, finish)


class Captured:
    """A call as a CUDA graph, captured when it is first called. `restore` undoes what the calls before the capture
    did, which libraries need to set themselves up."""

    def __init__(self, call, restore=lambda: None):
        self.call = call
        self.restore = restore
        self.graph = None

    def __call__(self):
        if self.graph is None:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.call()
            torch.cuda.current_stream().wait_stream(stream)
            self.restore()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.result = self.call()
        self.graph.replay()
        return self.result


def plain(call):
    """Eager and compiled: `call` is a function of no arguments, made anew for each."""
    if ON_GPU:
        return {
            "PyTorch": lambda: work_of(call),
            "PyTorch-graph": lambda: work_of(Captured(call)),
            "PyTorch-compile": lambda: work_of(Captured(torch.compile(call, dynamic=False))),
        }
    return {
        "PyTorch": lambda: work_of(call),
        "PyTorch-compile": lambda: work_of(torch.compile(call, dynamic=False)),
    }


def mean(result):
    return result.double().mean()


def step(loss, parameters, value=None):
    """A step of gradient descent on `loss(parameters)`: by autograd, and as one compiled function."""

    def tensors():
        return [tensor(p.copy()) for p in parameters]

    def restoring(leaves):
        def restore():
            with torch.no_grad():
                for leaf, p in zip(leaves, parameters):
                    leaf.copy_(torch.from_numpy(p))

        return restore

    def of(leaves):
        return (lambda cost: value(leaves)) if value else mean

    def eager_call(leaves):
        def call():
            cost = loss(leaves)
            gradients = torch.autograd.grad(cost, leaves)
            with torch.no_grad():
                torch._foreach_add_(leaves, gradients, alpha=-RATE)
            return cost.detach()

        return call

    def compiled_call(leaves):
        gradients_of = torch.func.grad_and_value(loss)

        @torch.compile(dynamic=False)
        def update(leaves):
            gradients, cost = gradients_of(leaves)
            for p, g in zip(leaves, gradients):
                p.sub_(g, alpha=RATE)
            return cost

        return lambda: update(leaves)

    def eager():
        leaves = [t.requires_grad_() for t in tensors()]
        return work_of(eager_call(leaves), of(leaves))

    def captured():
        leaves = [t.requires_grad_() for t in tensors()]
        return work_of(Captured(eager_call(leaves), restoring(leaves)), of(leaves))

    def compiled():
        leaves = tensors()
        call = compiled_call(leaves)
        return work_of(Captured(call, restoring(leaves)) if ON_GPU else call, of(leaves))

    made = {"PyTorch": eager}
    if ON_GPU:
        made["PyTorch-graph"] = captured
    made["PyTorch-compile"] = compiled
    return made


def lenet_step(batch, first, second):
    images, targets, parameters = lenet_numbers(batch, first, second)
    x, y = tensor(images), tensor(targets).long()

    def loss(p):
        h = torch.tanh(F.max_pool2d(F.conv2d(x, p[0]), 2) + p[1].view(1, -1, 1, 1))
        h = torch.tanh(F.max_pool2d(F.conv2d(h, p[2]), 2) + p[3].view(1, -1, 1, 1))
        h = torch.tanh(torch.addmm(p[5], h.flatten(1), p[4]))
        return F.cross_entropy(torch.addmm(p[7], h, p[6]), y)

    return step(loss, parameters)


def vgg_step(batch):
    images, targets, parameters = vgg_numbers(batch)
    x, y = tensor(images), tensor(targets).long()

    def loss(p):
        h, i = x, 0
        for pooled in (True, True, False, True, False, True, False, True):
            h = F.relu(F.conv2d(h, p[i], p[i + 1], padding=1))
            h = F.max_pool2d(h, 2) if pooled else h
            i += 2
        h = F.relu(torch.addmm(p[i + 1], h.flatten(1), p[i]))
        h = F.relu(torch.addmm(p[i + 3], h, p[i + 2]))
        return F.cross_entropy(torch.addmm(p[i + 5], h, p[i + 4]), y)

    return step(loss, parameters)


def moons_step(points, hidden):
    rows, targets, parameters = layers_numbers(points, 2, hidden, 2)
    x, y = tensor(rows), tensor(targets).long()

    def loss(p):
        cost = F.cross_entropy(torch.addmm(p[3], torch.tanh(torch.addmm(p[1], x, p[0])), p[2]), y)
        return cost + 0.01 / 2 / points * (p[0].square().sum() + p[2].square().sum())

    return step(loss, parameters, lambda p: p[0].detach().abs().mean())


def mlp_step(batch, *widths):
    rows, targets, parameters = layers_numbers(batch, *widths)
    x, y = tensor(rows), tensor(targets).long()

    def loss(p):
        h = x
        for i in range(0, len(p) - 2, 2):
            h = torch.tanh(torch.addmm(p[i + 1], h, p[i]))
        return F.cross_entropy(torch.addmm(p[-1], h, p[-2]), y)

    return step(loss, parameters)


def chain(n):
    a, b, c, d = (tensor(uniform((n,), seed)) for seed in (1, 2, 3, 4))
    return plain(lambda: torch.tanh(a * b + c) * torch.sigmoid(d) + torch.log1p(torch.exp(-torch.abs(a))))


def unary(function):
    def make(*shape):
        x = tensor(uniform(shape, 1))
        return plain(lambda: function(x))

    return make


def pool_forward(n, channels, side, window, stride):
    x = tensor(uniform((n, channels, side, side), 1))
    last = x.to(memory_format=torch.channels_last)
    return {
        **plain(lambda: F.max_pool2d(x, window, stride)),
        "PyTorch-nhwc": lambda: work_of(lambda: F.max_pool2d(last, window, stride)),
    }


def lrn(n, channels, side, size):
    x = tensor(uniform((n, channels, side, side), 1))
    return plain(lambda: F.local_response_norm(x, size, 1e-4, 0.75, 1.0))


def pool_backward(n, channels, side, window, stride):
    x = tensor(uniform((n, channels, side, side), 1))

    def make(memory_format):
        def work():
            image = x.to(memory_format=memory_format)
            out, indices = F.max_pool2d(image, window, stride, return_indices=True)
            gradient = tensor(uniform(tuple(out.shape), 2)).to(memory_format=memory_format)
            return work_of(
                lambda: torch.ops.aten.max_pool2d_with_indices_backward(
                    gradient, image, [window] * 2, [stride] * 2, [0, 0], [1, 1], False, indices
                )
            )

        return work

    return {"PyTorch": make(torch.contiguous_format), "PyTorch-nhwc": make(torch.channels_last)}


def convolution(direction):
    def make(n, channels, side, filters, width, stride, pad, dilation, groups):
        image = tensor(uniform((n, channels, side, side), 1))
        kernel = tensor(uniform((filters, channels // groups, width, width), 2))
        output = F.conv2d(image, kernel, None, stride, pad, dilation, groups)
        gradient = tensor(uniform(tuple(output.shape), 3))
        mask = [direction == "inputs", direction == "weights", False]

        def work(memory_format):
            x, w, g = (t.to(memory_format=memory_format) for t in (image, kernel, gradient))
            if direction == "forward":
                return work_of(lambda: F.conv2d(x, w, None, stride, pad, dilation, groups))
            return work_of(
                lambda: torch.ops.aten.convolution_backward(
                    g, x, w, None, [stride] * 2, [pad] * 2, [dilation] * 2, False, [0, 0], groups, mask
                )[mask.index(True)]
            )

        return {
            "PyTorch": lambda: work(torch.contiguous_format),
            "PyTorch-nhwc": lambda: work(torch.channels_last),
        }

    return make


def scalar_call():
    x = torch.tensor(2.0, device=DEVICE)
    add = torch.compile(lambda x: x + 1)
    return {"PyTorch": lambda: work_of(lambda: x + 1), "PyTorch-compile": lambda: work_of(lambda: add(x))}


serve(
    {
        "lenet_step": lenet_step,
        "vgg_step": vgg_step,
        "moons_step": moons_step,
        "mlp_step": mlp_step,
        "chain": chain,
        "exp": unary(torch.exp),
        "scale": unary(lambda x: 2 * x),
        "copy": unary(torch.clone),
        "lrn": lrn,
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
    set_precision,
)
