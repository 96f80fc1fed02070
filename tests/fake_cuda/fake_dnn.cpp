// cuDNN's graph API on host memory, for graphs of one convolution of float32: found where CUDA_PATH says, so
// that library steps are tested without a GPU. It computes what the descriptors say, wherever the strides
// lead. Its named algorithms it does not have.
#include <dlfcn.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "croton/runtime/cuda_dnn.h"
#include "fake_cuda.h"

using namespace croton::cudnn;

namespace croton::cudnn {
struct HandleContent {};
}  // namespace croton::cudnn

namespace {

constexpr int bad_parameter = 2000, not_supported = 3000;
constexpr std::uintptr_t alignment = 16;

struct Content {
  int kind = 0;
  bool is_final = false;
  std::map<int, std::vector<std::int64_t>> numbers;  // addresses too
  std::map<int, std::vector<Content*>> parts;
  int mode = 0, number = 0;  // of an engine

  const std::vector<std::int64_t>& list(int attribute) const { return numbers.at(attribute); }
  const Content& part(int attribute) const { return *parts.at(attribute)[0]; }
};
Content& content_of(BackendDescriptor descriptor) { return *static_cast<Content*>(descriptor); }

/// What an engine says of itself, and how it behaves.
struct Engine {
  std::vector<int> notes;
  std::int64_t workspace = 0;
  bool is_refused = false;
};
const std::vector<Engine>& engines_of(int mode) {
  static const std::map<int, std::vector<Engine>> all = {{heuristic_a,
                                                          {{.notes = {by_tensor_cores}},
                                                           {.notes = {by_fourier_transforms}},
                                                           {.notes = {}, .is_refused = true},
                                                           {.notes = {}, .workspace = std::int64_t{1} << 40},
                                                           {.notes = {may_differ_between_runs}},
                                                           {.notes = {}, .workspace = 1024}}},
                                                         {heuristic_b, {{.notes = {adds_up_in_less}}}},
                                                         {heuristic_fallback, {}}};
  return all.at(mode);
}

/// Work of the driver's stream.
void enqueue(const std::function<void()>& work) {
  void* driver = dlopen("libfake_cuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  reinterpret_cast<decltype(&fake_cuda_enqueue)>(dlsym(driver, "fake_cuda_enqueue"))(work);
}

/// A tensor in four or five axes: the others have extent 1.
struct Operand {
  float* data = nullptr;
  std::array<std::int64_t, 5> extents{1, 1, 1, 1, 1}, strides{};

  float& at(const std::array<std::int64_t, 5>& i) const {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < i.size(); ++axis) offset += i[axis] * strides[axis];
    return data[offset];
  }
};

struct Convolution {
  int kind = 0;
  Operand image, filters, output;
  std::array<std::int64_t, 3> pad{}, stride{1, 1, 1}, dilation{1, 1, 1};

  /// Calls f for every product of an element of the image and one of the filters, with the output's.
  template <class F>
  void each(const F& f) const {
    const std::int64_t group_channels = filters.extents[1];
    const std::int64_t group_filters = filters.extents[0] / (image.extents[1] / group_channels);
    std::array<std::int64_t, 5> o{}, w{}, x{};
    const std::function<void(std::size_t)> along = [&](std::size_t axis) {
      if (axis == 5) return f(x, w, o);
      for (o[axis] = 0; o[axis] < output.extents[axis]; ++o[axis]) {
        for (w[axis] = 0; w[axis] < filters.extents[axis]; ++w[axis]) {
          x[axis] = o[axis] * stride[axis - 2] + w[axis] * dilation[axis - 2] - pad[axis - 2];
          if (x[axis] >= 0 && x[axis] < image.extents[axis]) along(axis + 1);
        }
      }
    };
    for (o[0] = 0; o[0] < output.extents[0]; ++o[0]) {
      for (o[1] = 0; o[1] < output.extents[1]; ++o[1]) {
        for (w[1] = 0; w[1] < group_channels; ++w[1]) {
          x[0] = o[0];
          w[0] = o[1];
          x[1] = o[1] / group_filters * group_channels + w[1];
          along(2);
        }
      }
    }
  }

  void run() const {
    const Operand& result = kind == forward_operation ? output : kind == inputs_operation ? image : filters;
    std::map<float*, double> sums;
    each([&](const auto& x, const auto& w, const auto& o) {
      float* const to = kind == forward_operation  ? &output.at(o)
                        : kind == inputs_operation ? &image.at(x)
                                                   : &filters.at(w);
      const double a = kind == inputs_operation ? output.at(o) : image.at(x);
      const double b = kind == weights_operation ? output.at(o) : filters.at(w);
      sums[to] += a * b;
    });
    std::int64_t count = 1;
    for (const std::int64_t extent : result.extents) count *= extent;
    std::memset(result.data, 0, static_cast<std::size_t>(count) * sizeof(float));
    for (const auto& [to, sum] : sums) *to = static_cast<float>(sum);
  }
};

Operand operand_of(const Content& tensor, const Content& pack) {
  Operand operand;
  const auto& extents = tensor.list(tensor_extents);
  const auto& strides = tensor.list(tensor_strides);
  std::copy(extents.begin(), extents.end(), operand.extents.begin());
  std::copy(strides.begin(), strides.end(), operand.strides.begin());
  const auto& names = pack.list(pack_names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == tensor.list(tensor_name)[0])
      operand.data = reinterpret_cast<float*>(static_cast<std::uintptr_t>(pack.list(pack_pointers)[i]));
  }
  return operand;
}

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default")))

FAKE std::size_t cudnnGetVersion() { return 91900; }
FAKE const char* cudnnGetErrorString(int) { return "told by the fake cuDNN"; }
FAKE int cudnnCreate(Handle* handle) {
  *handle = new HandleContent;
  return 0;
}
FAKE int cudnnSetStream(Handle, croton::CUstream) { return 0; }

#define NOT_HERE(name) \
  FAKE int name() { return not_supported; }
NOT_HERE(cudnnCreateTensorDescriptor)
NOT_HERE(cudnnDestroyTensorDescriptor)
NOT_HERE(cudnnSetTensorNdDescriptor)
NOT_HERE(cudnnCreateFilterDescriptor)
NOT_HERE(cudnnDestroyFilterDescriptor)
NOT_HERE(cudnnSetFilterNdDescriptor)
NOT_HERE(cudnnCreateConvolutionDescriptor)
NOT_HERE(cudnnDestroyConvolutionDescriptor)
NOT_HERE(cudnnSetConvolutionNdDescriptor)
NOT_HERE(cudnnSetConvolutionGroupCount)
NOT_HERE(cudnnSetConvolutionMathType)
NOT_HERE(cudnnGetConvolutionForwardAlgorithm_v7)
NOT_HERE(cudnnGetConvolutionBackwardDataAlgorithm_v7)
NOT_HERE(cudnnGetConvolutionBackwardFilterAlgorithm_v7)
NOT_HERE(cudnnConvolutionForward)
NOT_HERE(cudnnConvolutionBackwardData)
NOT_HERE(cudnnConvolutionBackwardFilter)

FAKE int cudnnBackendCreateDescriptor(int kind, BackendDescriptor* made) {
  auto* const content = new Content;
  content->kind = kind;
  *made = content;
  return 0;
}
FAKE int cudnnBackendDestroyDescriptor(BackendDescriptor descriptor) {
  delete static_cast<Content*>(descriptor);
  return 0;
}
FAKE int cudnnBackendSetAttribute(BackendDescriptor descriptor, int attribute, int type, std::int64_t count,
                                  const void* values) {
  Content& content = content_of(descriptor);
  if (content.is_final) return bad_parameter;
  for (std::int64_t i = 0; i < count; ++i) {
    if (type == type_descriptor) {
      content.parts[attribute].push_back(static_cast<Content* const*>(values)[i]);
      if (!content.parts[attribute].back()->is_final) return bad_parameter;
    } else if (type == type_int64 || type == type_pointer || type == type_handle) {
      content.numbers[attribute].push_back(static_cast<const std::int64_t*>(values)[i]);
    } else if (type != type_float) {
      content.numbers[attribute].push_back(static_cast<const int*>(values)[i]);
    }
  }
  return 0;
}
FAKE int cudnnBackendFinalize(BackendDescriptor descriptor) {
  Content& content = content_of(descriptor);
  content.is_final = true;
  if (content.kind != execution_plan) return 0;
  const Content& engine = content.part(plan_configuration);
  return engines_of(engine.mode)[static_cast<std::size_t>(engine.number)].is_refused ? not_supported : 0;
}
FAKE int cudnnBackendGetAttribute(BackendDescriptor descriptor, int attribute, int, std::int64_t wanted,
                                  std::int64_t* count, void* values) {
  Content& content = content_of(descriptor);
  if (!content.is_final) return bad_parameter;
  switch (attribute) {
    case heuristic_results: {
      const auto mode = static_cast<int>(content.list(heuristic_mode)[0]);
      *count = static_cast<std::int64_t>(engines_of(mode).size());
      for (std::int64_t i = 0; i < std::min(*count, wanted); ++i) {
        Content& given = *static_cast<Content**>(values)[i];
        given.is_final = true;
        given.mode = mode;
        given.number = static_cast<int>(i);
        given.parts[configuration_engine] = {content.parts.at(heuristic_graph)[0]};
      }
      return 0;
    }
    case configuration_engine: {
      Content& given = **static_cast<Content**>(values);
      given.is_final = true;
      given.mode = content.mode;
      given.number = content.number;
      *count = 1;
      return 0;
    }
    case engine_numerical_notes: {
      const std::vector<int>& notes =
          engines_of(content.mode)[static_cast<std::size_t>(content.number)].notes;
      std::copy(notes.begin(), notes.end(), static_cast<int*>(values));
      *count = static_cast<std::int64_t>(notes.size());
      return 0;
    }
    case plan_workspace: {
      const Content& engine = content.part(plan_configuration);
      *static_cast<std::int64_t*>(values) =
          engines_of(engine.mode)[static_cast<std::size_t>(engine.number)].workspace;
      *count = 1;
      return 0;
    }
    default:
      return not_supported;
  }
}
FAKE int cudnnBackendExecute(Handle, BackendDescriptor plan, BackendDescriptor packed) {
  const Content& pack = content_of(packed);
  const Content& operation =
      content_of(plan).part(plan_configuration).part(configuration_engine).part(graph_operations);
  const bool is_forward = operation.kind == forward_operation, is_inputs = operation.kind == inputs_operation;
  const auto part = [&](int forward, int inputs, int weights) -> const Content& {
    return operation.part(is_forward ? forward : is_inputs ? inputs : weights);
  };
  Convolution c;
  c.kind = operation.kind;
  c.image = operand_of(part(forward_image, inputs_image, weights_image), pack);
  c.filters = operand_of(part(forward_filters, inputs_filters, weights_filters), pack);
  c.output = operand_of(part(forward_output, inputs_output, weights_output), pack);
  for (const Operand* operand : {&c.image, &c.filters, &c.output}) {
    if (operand->data == nullptr || reinterpret_cast<std::uintptr_t>(operand->data) % alignment != 0)
      return bad_parameter;
  }
  const Content& options = part(forward_convolution, inputs_convolution, weights_convolution);
  if (options.list(convolution_mode)[0] != cross_correlation) return not_supported;
  const auto take = [&](int attribute, std::array<std::int64_t, 3>& to) {
    std::copy(options.list(attribute).begin(), options.list(attribute).end(), to.begin());
  };
  take(convolution_pad_before, c.pad);
  take(convolution_stride, c.stride);
  take(convolution_dilation, c.dilation);
  enqueue([c] { c.run(); });
  return 0;
}
