#!/usr/bin/env python3
"""layers.py finds each kind of wrong include, and nothing wrong in a tree that keeps the order."""

import pathlib
import tempfile
import unittest

import layers


class Layers(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            tree = {"runtime/croton.h": '#include "croton/graph/type.h"\n', "graph/type.h": "#include <vector>\n"}
            for name, text in {**tree, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return list(layers.check(root))

    def assert_one(self, files, part):
        problems = self.problems(files)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(part, problems[0])

    def test_order_kept(self):
        self.assertEqual(self.problems({
            "ops/a.cpp": '#include "croton/graph/type.h"\n#include <fmt/format.h>\n',
            "runtime/a.cpp": '#include "croton/ops/a.h"\n',
            "ops/a.h": "#include <span>\n",
            "codegen/llvm_a.cpp": "#include <llvm/IR/IRBuilder.h>\n",
            "runtime/dnn_a.cpp": "#include <oneapi/dnnl/dnnl.hpp>\n",
            "runtime/cuda_a.cpp": "#include <cuda.h>\n",
        }), [])

    def test_upward(self):
        for layer, above in [("graph", "ops"), ("ops", "optimizer"), ("optimizer", "codegen"), ("codegen", "optimizer"),
                             ("codegen", "runtime")]:
            self.assert_one({f"{layer}/a.cpp": f'#  include "croton/{above}/b.h"\n', f"{above}/b.h": ""},
                            f"{layer}/a.cpp:1: {layer}/ must not include croton/{above}/b.h")

    def test_umbrella_is_of_the_top_layer(self):
        self.assert_one({"ops/a.cpp": "#include <croton/croton.h>\n"}, "ops/ must not include croton/croton.h")

    def test_missing_file(self):
        self.assert_one({"ops/a.cpp": '\n#include "croton/graph/b.h"\n'}, "ops/a.cpp:2: croton/graph/b.h does not exist")

    def test_relative_include(self):
        self.assert_one({"ops/a.cpp": '#include "b.h"\n'}, 'write "croton/<folder>/b.h"')

    def test_guarded_libraries(self):
        self.assert_one({"codegen/emit.cpp": "#include <llvm/IR/IRBuilder.h>\n"}, "codegen/llvm_* only")
        self.assert_one({"runtime/llvm_emit.cpp": '#include <llvm/IR/IRBuilder.h>\n'}, "codegen/llvm_* only")
        self.assert_one({"runtime/device.cpp": "#include <cuda_runtime.h>\n"}, "cuda_* only")
        self.assert_one({"ops/dnn_conv.cpp": "#include <dnnl.hpp>\n"}, "dnn_* only")

    def test_public_headers(self):
        self.assert_one({"graph/type.h": "#include <fmt/format.h>\n"}, "a public header must not include <fmt/format.h>")
        self.assert_one({"graph/type.h": "#include <zlib.h>\n"}, "a public header must not include <zlib.h>")

    def test_no_umbrella(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(list(layers.check(pathlib.Path(folder))), ["runtime/croton.h does not exist"])


if __name__ == "__main__":
    unittest.main()
