"""Measuring in turns, so that whatever else the machine does hits every implementation alike."""

import tempfile

# A first call that takes longer than this is not repeated as often as the others.
PATIENCE = 10.0  # seconds


def rounds(programs, row, count, seconds):
    """Implementation -> {"samples": seconds a call, "check": …} or {"error": …}."""
    _, kind, sizes, _ = row
    results = {}
    work = {}
    for program in programs:
        reply = program.ask("prepare", kind, *sizes)
        if "error" in reply:
            results[program.name] = {"error": reply["error"]}
        work.update({key: reply[key] for key in ("bytes", "operations") if key in reply})
        for name, made in reply.get("implementations", {}).items():
            results[name] = {"program": program, "samples": [], **made}
    for _ in range(count):
        for name, result in results.items():
            if "samples" in result:
                reply = result["program"].ask("measure", name, seconds)
                if "error" in reply:
                    result["error"] = reply["error"]
                    del result["samples"]
                else:
                    result["samples"].append(reply["seconds"])
    for result in results.values():
        result.pop("program", None)
        result.update(work)
    return results


def first_calls(programs, row, count):
    """As rounds(), for functions that are made anew: with empty caches, then with what that left on disk
    ("warm"), and the memory that this took above the start of the process."""
    _, kind, sizes, _ = row
    results = {}
    for program in programs:
        program.stop()  # idle, but its memory and threads are in the way
        for name in program.implementations:
            cold, warm, memory, check = [], [], [], None
            while len(cold) < count and sum(cold) < PATIENCE:
                with tempfile.TemporaryDirectory(prefix="croton-bench-") as caches:
                    reply = program.once(name, kind, sizes, caches)
                    if reply.get("unsupported") or "error" in reply:
                        break
                    cold.append(reply["seconds"])
                    again = program.once(name, kind, sizes, caches)
                    if "error" in again:
                        reply = again
                        break
                    warm.append(again["seconds"])
                    memory.append(max(reply["memory"], again["memory"]))
                    check = reply["check"]
            if "error" in reply:
                results[name] = {"error": reply["error"]}
            elif cold:
                results[name] = {"samples": cold, "warm": warm, "memory": memory, "check": check}
    return results
