"""The programs that are measured: how they are built or installed, started and talked to."""

import hashlib
import json
import os
import subprocess
import sys

# name, program in peers/, its implementations
PEERS = [
    ("PyTorch", "torch_peer.py", ["PyTorch", "PyTorch-compile"]),
    ("JAX", "jax_peer.py", ["JAX"]),
    ("PyTensor", "pytensor_peer.py", ["PyTensor"]),
]


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


def environment(caches):
    """Two threads for everybody, and what compilers keep on disk in `caches`, if anything."""
    variables = dict(os.environ)
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        variables[name] = "2"
    variables["CROTON_FLAGS"] = "threads=2,cache_dir=" + (f"{caches}/croton" if caches else "none")
    if caches is None:
        return variables
    variables["TORCHINDUCTOR_CACHE_DIR"] = f"{caches}/torch"
    variables["JAX_COMPILATION_CACHE_DIR"] = f"{caches}/jax"
    variables["PYTENSOR_FLAGS"] = f"base_compiledir={caches}/pytensor"
    variables["NUMBA_CACHE_DIR"] = f"{caches}/numba"
    return variables


class Program:
    """One library's benchmark program, kept running while its turns come and go. What its compiler keeps on disk
    while it serves lies in `caches`, which stays: only first calls start without."""

    def __init__(self, name, command, implementations, caches):
        self.name = name
        self.command = command
        self.implementations = implementations
        self.caches = caches
        self.version = ""
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=environment(self.caches), text=True, stdin=subprocess.PIPE,
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
            self.process = None

    def once(self, implementation, kind, sizes, caches):
        """The first call, in a process of its own."""
        done = subprocess.run(
            [*self.command, "once", implementation, kind, *sizes], env=environment(caches), text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
            return {"error": reason[-1]}
        return json.loads(done.stdout.splitlines()[-1])
