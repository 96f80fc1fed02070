#include "croton/ops/transfer.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

class Transfer : public Op {
 public:
  using Op::Op;
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs[0].copy()};
  }

 protected:
  const Variable& operand(std::span<const Variable> inputs) const {
    if (inputs.size() != 1) throw TypeError(fmt::format("{} takes 1 input, got {}", name(), inputs.size()));
    return inputs[0];
  }
};

class GpuFromHost final : public Transfer {
 public:
  GpuFromHost() : Transfer("gpu_from_host") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const TensorType& type = operand(inputs).type();
    if (!type.device.is_host())
      throw TypeError(
          fmt::format("gpu_from_host takes a tensor on the host, this one is on {}", to_string(type.device)));
    if (target(attributes).is_host()) throw ValueError("gpu_from_host copies to a CUDA device, not to cpu");
    return {type};
  }
  Device output_device(const Attributes& attributes, Device) const override { return target(attributes); }
  std::vector<InputGradient> grad(const Node&, std::span<const Variable> gradients) const override {
    return {host_from_gpu(gradients[0])};
  }
  std::string label(const Node& node) const override {
    return fmt::format("GpuFromHost<{}>", to_string(target(node.attributes())));
  }

 private:
  static Device target(const Attributes& attributes) {
    return Device::from_name(attributes.get<std::string>("device"));
  }
};

class GpuToGpu final : public Transfer {
 public:
  GpuToGpu() : Transfer("gpu_to_gpu") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const TensorType& type = operand(inputs).type();
    if (type.device.is_host())
      throw TypeError("gpu_to_gpu takes a tensor on a CUDA device, this one is on the host");
    if (target(attributes).is_host()) throw ValueError("gpu_to_gpu copies to a CUDA device, not to cpu");
    return {type};
  }
  Device output_device(const Attributes& attributes, Device) const override { return target(attributes); }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return {transfer(gradients[0], node.input(0).type().device)};
  }
  std::string label(const Node& node) const override {
    return fmt::format("GpuToGpu<{}>", to_string(target(node.attributes())));
  }

 private:
  static Device target(const Attributes& attributes) {
    return Device::from_name(attributes.get<std::string>("device"));
  }
};

class HostFromGpu final : public Transfer {
 public:
  HostFromGpu() : Transfer("host_from_gpu") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    const TensorType& type = operand(inputs).type();
    if (type.device.is_host()) throw TypeError("host_from_gpu takes a tensor on a CUDA device");
    return {type};
  }
  Device output_device(const Attributes&, Device) const override { return {}; }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return {transfer(gradients[0], node.input(0).type().device)};
  }
  std::string label(const Node&) const override { return "HostFromGpu"; }
};

}  // namespace

const Op& gpu_from_host_op() {
  static const GpuFromHost op;
  return op;
}
const Op& host_from_gpu_op() {
  static const HostFromGpu op;
  return op;
}
const Op& gpu_to_gpu_op() {
  static const GpuToGpu op;
  return op;
}
[[maybe_unused]] const Op* const transfer_registered_at_start[] = {&gpu_from_host_op(), &host_from_gpu_op(),
                                                                   &gpu_to_gpu_op()};

bool is_transfer(const Op& op) {
  return &op == &gpu_from_host_op() || &op == &host_from_gpu_op() || &op == &gpu_to_gpu_op();
}

Variable transfer(const Operand& x, Device device) {
  const LocationScope scope(x.where());
  Variable result = x.variable();
  if (result.type().device == device) return result;
  const bool is_there = !result.type().device.is_host();
  if (device.is_host()) return apply_op(host_from_gpu_op(), {result});
  return apply_op(is_there ? gpu_to_gpu_op() : gpu_from_host_op(), {result}, {{"device", to_string(device)}});
}

Variable transfer(const Operand& x, std::string_view device) {
  return transfer(x, Device::from_name(device));
}

Variable gpu_from_host(const Operand& x, std::string_view device) {
  const Device target = Device::from_name(device);
  if (target.is_host()) throw ValueError("gpu_from_host copies to a CUDA device, not to cpu");
  return transfer(x, target);
}

Variable host_from_gpu(const Operand& x) { return transfer(x, Device::host()); }

Variable gpu_contiguous(const Operand& x) {
  const bool is_there = x.variable().type().device.is_cuda();
  return contiguous(is_there ? x : Operand(gpu_from_host(x)));
}

}  // namespace croton
