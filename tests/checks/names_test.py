#!/usr/bin/env python3
"""names.py finds a constant and a type that two files define, and nothing where they may share a name."""

import pathlib
import tempfile
import unittest

import names

PRIVATE = "namespace croton {{\nnamespace {{\n{}\n}}  // namespace\n}}  // namespace croton\n"


class Names(unittest.TestCase):
    def clashes(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return list(names.clashes(root))

    def both(self, first, second, other="graph/b.cpp"):
        return self.clashes({"graph/a.cpp": PRIVATE.format(first), other: PRIVATE.format(second)})

    def test_found(self):
        self.assertEqual(self.both("constexpr int most = 3;", "constexpr double most = 4;"),
                         ["graph/: a.cpp and b.cpp define most"])
        self.assertEqual(self.both("struct Known {", "class Known final : public Op {"),
                         ["graph/: a.cpp and b.cpp define Known"])
        self.assertEqual(self.both("constexpr const char* names[] = {", "const std::array<int, 2> names = {1, 2};"),
                         ["graph/: a.cpp and b.cpp define names"])

    def test_allowed(self):
        self.assertEqual(self.both("constexpr int most = 3;", "constexpr int least = 3;"), [])
        self.assertEqual(self.both("constexpr int most = 3;", "constexpr int most = 3;", "ops/b.cpp"), [])
        self.assertEqual(self.both("int width_of(int x) {", "int width_of(double x) {"), [])
        self.assertEqual(self.both("constexpr int most = 3;", "  constexpr int most = 3;"), [])
        self.assertEqual(self.both("constexpr int most = 3;", "}  // namespace\nstruct most {\nnamespace {"), [])
        other_namespace = PRIVATE.format("constexpr int most = 3;").replace("namespace croton {", "namespace croton::test {")
        self.assertEqual(self.clashes({"graph/a.cpp": PRIVATE.format("constexpr int most = 3;"),
                                       "graph/b.cpp": other_namespace}), [])


if __name__ == "__main__":
    unittest.main()
