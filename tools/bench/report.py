"""The table that people read, and the same for machines."""

import math
import os
import platform
import statistics
import subprocess


def time_text(seconds):
    for unit, factor in (("s ", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= factor or unit == "ns":
            return f"{seconds / factor:.3g} {unit}" if seconds < 1000 * factor else f"{seconds / factor:.0f} {unit}"


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def device_name(device):
    if device == "cpu":
        return f"{processor()}, {os.cpu_count()} cores, 2 used"
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return done.stdout.strip().replace(",", ", driver")
    except (OSError, subprocess.SubprocessError):
        return "a GPU that nvidia-smi does not know"


def alike(a, b):
    return a is not None and b is not None and abs(a - b) <= 1e-6 + 1e-3 * max(abs(a), abs(b))


class Report:
    """Prints rows as they come. The ratio is Croton's median over that of the best peer: below 1 Croton wins."""

    def __init__(self, programs, device):
        self.programs = programs
        self.device = device
        self.name = device_name(device)
        self.copy_rate = None  # the best of the work called copy, once it was measured
        self.results = []
        self.ratios = []
        self.all_ratios = {}
        self.failed = False
        print(f"{self.name}; medians, spread (most - least) / median\n")
        self.printed = 0
        print(f"{'workload':<16} {'implementation':<16} {'median':>10} {'spread':>7} {'rate':>18} {'/ best peer':>12}")

    def part(self):
        if self.ratios:
            mean = math.exp(statistics.fmean(map(math.log, self.ratios)))
            print(f"{'':<16} {'geometric mean':<16} {'':>10} {'':>7} {'':>18} {mean:12.2f}")
        self.ratios = []
        if self.results and len(self.results) > self.printed:
            print()
        self.printed = len(self.results)

    def _row(self, name, implementation, samples, rate="", ratio=None, note=""):
        median = statistics.median(samples)
        spread = (max(samples) - min(samples)) / median
        share = f"{ratio:.2f}" if ratio is not None else ""
        print(f"{name:<16} {implementation:<16} {time_text(median):>10} {spread:7.0%} {rate:>18} {share:>12}{note}", flush=True)

    def _rate(self, result, median):
        if result.get("operations"):
            return f"{result['operations'] / median / 1e9:.1f} GFLOP/s"
        if result.get("bytes"):
            rate = result["bytes"] / median
            share = f" {rate / self.copy_rate:4.0%}" if self.copy_rate else ""
            return f"{rate / 1e9:.1f} GB/s{share}"
        return ""

    def _compare(self, name, results, key="samples"):
        """Croton's median over the best peer's, or None."""
        peers = [statistics.median(r[key]) for i, r in results.items() if i != "Croton" and r.get(key)]
        mine = results.get("Croton", {}).get(key)
        if not peers or not mine:
            return None
        ratio = statistics.median(mine) / min(peers)
        self.all_ratios[name] = ratio
        return ratio

    def add(self, row, results):
        name, kind, sizes, _ = row
        ratio = self._compare(name, results)
        if ratio is not None:
            self.ratios.append(ratio)
        if name == "copy":
            rates = [r["bytes"] / statistics.median(r["samples"]) for r in results.values() if r.get("samples") and r.get("bytes")]
            self.copy_rate = max(rates, default=None)
        check = results.get("Croton", {}).get("check")
        for implementation, result in results.items():
            if "error" in result:
                self._error(name, implementation, result["error"])
            else:
                note = "" if alike(result["check"], check) else f"  result {result['check']}, Croton's {check}"
                mine = implementation == "Croton"
                median = statistics.median(result["samples"])
                self._row(name, implementation, result["samples"], self._rate(result, median), ratio if mine else None, note)
            self._record(name, kind, sizes, implementation, result, ratio)

    def add_first_calls(self, row, results):
        name, kind, sizes, _ = row
        warm_name, memory_name = f"{name} cached", f"{name} memory"
        ratios = [self._compare(n, results, k) for n, k in ((name, "samples"), (warm_name, "warm"), (memory_name, "memory"))]
        for implementation, result in results.items():
            mine = implementation == "Croton"
            if "error" in result:
                self._error(name, implementation, result["error"])
            else:
                self._row(name, implementation, result["samples"], "no cache", ratios[0] if mine else None)
                self._row(name, implementation, result["warm"], "from disk", ratios[1] if mine else None)
                memory = statistics.median(result["memory"])
                share = f"{ratios[2]:.2f}" if mine and ratios[2] is not None else ""
                print(f"{name:<16} {implementation:<16} {memory / 2**20:7.0f} MB {'':>7} {'memory':>18} {share:>12}", flush=True)
            self._record(name, kind, sizes, implementation, result, ratios[0])

    def _error(self, name, implementation, error):
        print(f"{name:<16} {implementation:<16} FAILED {error}", flush=True)
        self.failed = self.failed or implementation == "Croton"

    def _record(self, name, kind, sizes, implementation, result, ratio):
        entry = {"workload": name, "kind": kind, "sizes": [int(s) if s.isdigit() else s for s in sizes], "implementation": implementation, **result}
        if "samples" in result:
            median = statistics.median(result["samples"])
            entry["median"] = median
            for key in ("bytes", "operations"):
                if result.get(key):
                    entry[f"{key}_per_second"] = result[key] / median
        if implementation == "Croton" and ratio is not None:
            entry["ratio_to_best_peer"] = ratio
        self.results.append(entry)

    def close(self):
        self.part()
        if self.all_ratios:
            print("Croton / best peer")
            for name, ratio in self.all_ratios.items():
                print(f"  {name:<24} {ratio:6.2f}")
        print("\n" + ", ".join(f"{p.name} {p.version}".strip() for p in self.programs))

    def machine_readable(self):
        return {
            "device": self.name,
            "threads": 2 if self.device == "cpu" else None,
            "copy_bytes_per_second": self.copy_rate,
            "versions": {p.name: p.version for p in self.programs},
            "results": self.results,
        }
