#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "croton/runtime/function_definition.h"

namespace croton {

/// The arguments of one call, checked and in the order of the function's inputs: contiguous tensors of the
/// inputs' dtypes, on the host or on the function's device. Points to the caller's tensors; holds those that
/// had to be converted.
class Arguments {
 public:
  explicit Arguments(const FunctionDefinition& definition) : definition_(definition) {}
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  /// By position. Inputs with default values may be left out at the end.
  void take(const Tensor* const* arguments, std::size_t count);
  void take(std::span<const Tensor> arguments);
  void take_named(std::span<const NamedArgument> arguments);

  /// One an input.
  const Tensor* const* begin() const { return list_; }
  const Tensor& operator[](std::size_t i) const { return *list_[i]; }

 private:
  void start(std::size_t given);
  void set(std::size_t position, const Tensor& argument);
  void complete();
  const Tensor* converted(std::size_t position, const Tensor& argument);
  std::size_t position_of(const NamedArgument& argument) const;

  static constexpr std::size_t few = 32;
  const FunctionDefinition& definition_;
  const Tensor* in_place_[few];
  std::vector<const Tensor*> many_;
  const Tensor** list_ = in_place_;
  std::vector<Tensor> held_;
};

}  // namespace croton
