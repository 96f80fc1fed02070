#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "croton/codegen/lower_context.h"
#include "croton/codegen/thin_product.h"
#include "croton/graph/op.h"

namespace croton {

/// c[m, n] = alpha * sum over k of a[m, k] * b[k, n] + beta * z[m, n]; -1 where an operand is absent (alpha
/// and beta are 1 then).
struct Product {
  std::int64_t m = 1, n = 1, k = 1;
  int a = 0, b = 1, z = -1, alpha = -1, beta = -1;
  ProductWalk a_walk, b_walk, c_walk, z_walk;
  bool relu = false;  ///< c's elements up to 0 become 0 then

  /// The same with c's rows as columns.
  Product transposed() const {
    Product t = *this;
    std::swap(t.m, t.n);
    std::swap(t.a, t.b);
    const auto turned = [](ProductWalk w) { return ProductWalk{w.column, w.row}; };
    t.a_walk = turned(b_walk);
    t.b_walk = turned(a_walk);
    t.c_walk = turned(c_walk);
    t.z_walk = turned(z_walk);
    return t;
  }
};

/// x, or 0 where it is up to 0; NaN stays.
inline ScalarValue emit_relu(KernelBuilder& k, ScalarValue x) {
  const ScalarValue zero = k.constant(0, x.dtype);
  return k.emit(ScalarOp::select, k.emit(ScalarOp::le, x, zero), zero, x);
}

/// What all ways to compute a product have in common.
class ProductKernel {
 protected:
  ProductKernel(const LowerContext& context, const Product& product)
      : p_(product),
        kernel_(context, context.node.op().name()),
        k_(kernel_.builder()),
        dtype_(compute_dtype(context.outputs[0].dtype)) {
    a_ = kernel_.input(static_cast<std::size_t>(p_.a));
    b_ = kernel_.input(static_cast<std::size_t>(p_.b));
    if (p_.z >= 0) z_ = kernel_.input(static_cast<std::size_t>(p_.z));
    if (p_.alpha >= 0) alpha_ = kernel_.input(static_cast<std::size_t>(p_.alpha));
    if (p_.beta >= 0) beta_ = kernel_.input(static_cast<std::size_t>(p_.beta));
    c_ = kernel_.output(0);
  }

  /// From here on with c's rows as columns.
  void transpose() {
    p_ = p_.transposed();
    std::swap(a_, b_);
  }
  ScalarValue zero() { return is_floating(dtype_) ? k_.constant(0, dtype_) : k_.integer_constant(0, dtype_); }
  ScalarValue load_a(Index i, Index k) {
    return k_.load(a_, i * Index(p_.a_walk.row) + k * Index(p_.a_walk.column));
  }
  ScalarValue load_b(Index k, Index j) {
    return k_.load(b_, k * Index(p_.b_walk.row) + j * Index(p_.b_walk.column));
  }
  ScalarValue multiply_add(ScalarValue x, ScalarValue y, ScalarValue sum) {
    return k_.emit(ScalarOp::add, sum, k_.emit(ScalarOp::mul, x, y));
  }
  /// Stores element (i, j) of the result.
  void finish(Index i, Index j, ScalarValue sum) {
    if (p_.alpha >= 0) sum = k_.emit(ScalarOp::mul, k_.load(alpha_, 0), sum);
    if (p_.z >= 0) {
      ScalarValue addend = k_.load(z_, i * Index(p_.z_walk.row) + j * Index(p_.z_walk.column));
      if (p_.beta >= 0) addend = k_.emit(ScalarOp::mul, k_.load(beta_, 0), addend);
      sum = k_.emit(ScalarOp::add, addend, sum);
    }
    if (p_.relu) sum = emit_relu(k_, sum);
    k_.store(c_, i * Index(p_.c_walk.row) + j * Index(p_.c_walk.column), sum);
  }

  Product p_;
  NodeKernel kernel_;
  KernelBuilder& k_;
  DType dtype_;
  Buffer a_, b_, c_, z_, alpha_, beta_;
};

NodeCode lower_product_on_gpu(const LowerContext& context, const Product& product);
/// Nothing for operands that a contraction does not take (cuda_contraction.h).
std::optional<NodeCode> lower_product_on_tensor_cores(const LowerContext& context, const Product& product);

}  // namespace croton
