"""The programs that are measured: how they are built or installed, started and talked to."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile

# device -> name, program in peers/, its implementations
PEERS = {
    "cpu": [
        ("PyTorch", "torch_peer.py", ["PyTorch", "PyTorch-nhwc", "PyTorch-compile"]),
        ("JAX", "jax_peer.py", ["JAX"]),
        ("PyTensor", "pytensor_peer.py", ["PyTensor"]),
    ],
    "cuda": [
        ("PyTorch", "torch_peer.py", ["PyTorch", "PyTorch-nhwc", "PyTorch-graph", "PyTorch-compile"]),
        ("JAX", "jax_peer.py", ["JAX"]),
    ],
}


def build(root):
    """Builds the benchmark program as one would install it; says where it is."""
    subprocess.run([os.path.join(root, "tools", "setup")], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "-S", root, "--preset", "release"], check=True, stdout=subprocess.DEVNULL)
    folder = os.path.join(root, "build-release")
    subprocess.run(["cmake", "--build", folder, "--target", "benchmarks"], check=True, stdout=sys.stderr)
    return os.path.join(folder, "bin", "croton_bench")


def install_peers(root):
    """Installs the pinned peers in .bench-env/ unless they are there; says which Python has them."""
    requirements = os.path.join(root, "tools", "bench", "peers", "requirements.txt")
    folder = os.path.join(root, ".bench-env")
    python = os.path.join(folder, "bin", "python")
    stamp = os.path.join(folder, "installed")
    with open(requirements) as file:
        text = file.read()
    wanted = hashlib.sha256(text.encode()).hexdigest()
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == wanted:
                return python
    sizes = [line[1:].strip() for line in text.splitlines() if line.startswith("# Download")]
    print(f"Installing the peers in {folder}. {' '.join(sizes)}", file=sys.stderr, flush=True)
    subprocess.run([os.path.join(root, "tools", "setup"), "bench"], check=True, stdout=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True, stdout=sys.stderr)
    with open(stamp, "w") as file:
        file.write(wanted)
    return python


def environment(caches, device):
    """On the CPU two threads for everybody; what compilers keep on disk in `caches`, if anything."""
    variables = dict(os.environ)
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    variables["BENCH_DEVICE"] = device
    flags = "cache_dir=" + (f"{caches}/croton" if caches else "none")
    if device == "cpu":
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
            variables[name] = "2"
        flags += ",threads=2"
        variables["JAX_PLATFORMS"] = "cpu"
    else:
        flags += f",device={device}"
        variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    variables["CROTON_FLAGS"] = flags
    if caches is None:
        return variables
    variables["TORCHINDUCTOR_CACHE_DIR"] = f"{caches}/torch"
    variables["TRITON_CACHE_DIR"] = f"{caches}/triton"
    variables["CUDA_CACHE_PATH"] = f"{caches}/cuda"
    variables["JAX_COMPILATION_CACHE_DIR"] = f"{caches}/jax"
    variables["PYTENSOR_FLAGS"] = f"base_compiledir={caches}/pytensor"
    variables["NUMBA_CACHE_DIR"] = f"{caches}/numba"
    return variables


def used_device_memory():
    """Bytes of the GPU's memory that are in use, whoever uses them; 0 where nobody can tell."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return int(done.stdout.split()[0]) * 2**20
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return 0


class Program:
    """One library's benchmark program, kept running while its turns come and go. What its compiler keeps on disk
    while it serves lies in `caches`, which stays: only first calls start without."""

    def __init__(self, name, command, implementations, caches, device):
        self.name = name
        self.command = command
        self.implementations = implementations
        self.caches = caches
        self.device = device
        self.version = ""
        self.process = None

    def environment(self, caches):
        variables = environment(caches, self.device)
        variables["BENCH_IMPLEMENTATIONS"] = ",".join(self.implementations)
        return variables

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment(self.caches), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=1,
        )  # fmt: skip

    def ask(self, *words):
        """The answer to one request; {"error": ...} when the program failed, or died of it."""
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = self.process.wait()
            self.stop()
            return {"error": f"{self.name}'s program ended with code {code}"}
        reply = json.loads(answer)
        self.version = reply.get("version", self.version)
        return reply

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def once(self, implementation, kind, sizes, caches):
        """The first call, in a process of its own, which waits for the end of its input before it goes: so that the
        memory can be looked at that it holds on the device."""
        used = used_device_memory() if self.device == "cuda" else 0
        with tempfile.TemporaryFile("w+") as complaint:
            process = subprocess.Popen(
                [*self.command, "once", implementation, kind, *sizes], env=self.environment(caches), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaint,
            )  # fmt: skip
            answer = process.stdout.readline()
            held = used_device_memory() - used if answer and self.device == "cuda" else 0
            process.communicate()
            if process.returncode != 0 or not answer:
                complaint.seek(0)
                reason = complaint.read().strip().splitlines() or [f"code {process.returncode}"]
                return {"error": reason[-1]}
        reply = json.loads(answer)
        if self.device == "cuda" and "memory" in reply:
            reply["memory"] = held
        return reply
