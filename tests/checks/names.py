#!/usr/bin/env python3
"""Checks that names do not clash where several files are compiled as one (CMAKE_UNITY_BUILD): names.py ROOT prints every
constant and type of an unnamed namespace that two files of one folder define, and fails.

Which files are compiled together changes with every file that comes or goes. Functions may share a name: they overload.
"""

import collections
import pathlib
import re
import sys

FOLDERS = ["graph", "ops", "optimizer", "codegen", "runtime", "tests", "tools/croton", "tools/bench"]
NAMESPACE = re.compile(r"^namespace ([\w:]*) ?\{$|^\}  // namespace ?([\w:]*)$")
DEFINITION = re.compile(
    r"^(?:constexpr|const|inline constexpr|static const)\b[^=(]*?\b(\w+)(?:\[\w*\])? ?(?:=|\{)"
    r"|^(?:struct|class|union|enum class|enum)\s+(\w+)(?: final)?(?: :[^;]*)?\s*\{"
)
RAW_TEXT = re.compile(r'R"(\w*)\(.*?\)\1"', re.S)


def private_names(text):
    """(enclosing namespaces, name) of each constant and type in an unnamed namespace."""
    open_namespaces = []
    for line in RAW_TEXT.sub('""', text).splitlines():
        match = NAMESPACE.match(line)
        if match:
            if line.startswith("namespace"):
                open_namespaces.append(match[1])
            elif open_namespaces:
                open_namespaces.pop()
            continue
        definition = DEFINITION.match(line)
        if definition and "" in open_namespaces:
            yield "::".join(n for n in open_namespaces if n), definition[1] or definition[2]


def clashes(root):
    for folder in FOLDERS:
        files = collections.defaultdict(list)
        for path in sorted((root / folder).glob("*.cpp")):
            for name in set(private_names(path.read_text(encoding="utf-8"))):
                files[name].append(path.name)
        for (_, name), where in sorted(files.items()):
            if len(where) > 1:
                yield f"{folder}/: {' and '.join(where)} define {name}"


def main():
    found = list(clashes(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "names are unique in their folders")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
