// Dilated convolution in five ways that give the same output: with a dilated filter, and by bringing the
// pixels that a dilated filter meets next to each other first, after A. Brock's benchmark of 2016.

#include <croton/croton.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "../training/run_benchmark.h"

using namespace croton;

namespace {

/// A dilation that divides the image in both directions, and a padding that keeps its size.
struct DilatedRun {
  ConvRun conv;
  std::int64_t scale = 2;
  Shape image() const { return {conv.batch, conv.channels, conv.height, conv.width}; }
  Shape filters() const { return {conv.filters, conv.channels, conv.kernel_height, conv.kernel_width}; }
  Shape output() const { return {conv.batch, conv.filters, conv.height, conv.width}; }
};

ConvOptions keeping_size(const DilatedRun& run, std::int64_t dilation) {
  const std::int64_t rows = run.conv.kernel_height / 2 * dilation,
                     columns = run.conv.kernel_width / 2 * dilation;
  return {.border_mode = {{rows, rows}, {columns, columns}},
          .filter_flip = false,
          .filter_dilation = {dilation, dilation}};
}

/// Every scale-th row and column from (row, column) on.
Variable picked(const Variable& x, std::int64_t row, std::int64_t column, std::int64_t scale) {
  return x(all, all, slice(row, none, scale), slice(column, none, scale));
}

/// A filter with its dilation.
Variable normal(const DilatedRun& run, const Variable& x, const Variable& w) {
  return conv2d(x, w, keeping_size(run, run.scale));
}

/// The same by a product of matrices and nothing else, as are its gradients.
Variable im2col(const DilatedRun& run, const Variable& x, const Variable& w) {
  ConvOptions options = keeping_size(run, run.scale);
  options.version = "gemm";
  return conv2d(x, w, options);
}

/// The pixels as further slices of a volume, which a filter of one slice visits one by one.
Variable subpixel(const DilatedRun& run, const Variable& x, const Variable& w) {
  const std::int64_t r = run.scale, rows = run.conv.height / r, columns = run.conv.width / r;
  Variable volume = zeros(Shape{run.conv.batch, run.conv.channels, r * r, rows, columns}, DType::float32);
  for (std::int64_t i = 0; i < r * r; ++i)
    volume = set_subtensor(volume(all, all, i), picked(x, i / r, i % r, r));
  const std::int64_t pad_rows = run.conv.kernel_height / 2, pad_columns = run.conv.kernel_width / 2;
  const Variable y = conv3d(
      volume, w.dimshuffle({0, 1, 'x', 2, 3}),
      {.border_mode = {{0, 0}, {pad_rows, pad_rows}, {pad_columns, pad_columns}}, .filter_flip = false});
  Variable out = zeros(run.output(), DType::float32);
  for (std::int64_t i = 0; i < r * r; ++i) out = set_subtensor(picked(out, i / r, i % r, r), y(all, all, i));
  return out;
}

/// The pixels as further images; `small` are the images of the shifts one after the other.
Variable back_in_place(const DilatedRun& run, const Variable& small, const Variable& w) {
  const std::int64_t r = run.scale, batch = run.conv.batch;
  const Variable y = conv2d(small, w, keeping_size(run, 1));
  Variable out = zeros(run.output(), DType::float32);
  for (std::int64_t i = 0; i < r * r; ++i)
    out = set_subtensor(picked(out, i / r, i % r, r), y(slice(i * batch, (i + 1) * batch)));
  return out;
}

Variable batch_roll(const DilatedRun& run, const Variable& x, const Variable& w) {
  const std::int64_t r = run.scale, batch = run.conv.batch;
  Variable small =
      zeros(Shape{r * r * batch, run.conv.channels, run.conv.height / r, run.conv.width / r}, DType::float32);
  for (std::int64_t i = 0; i < r * r; ++i)
    small = set_subtensor(small(slice(i * batch, (i + 1) * batch)), picked(x, i / r, i % r, r));
  return back_in_place(run, small, w);
}

Variable batch_stack(const DilatedRun& run, const Variable& x, const Variable& w) {
  const std::int64_t r = run.scale;
  std::vector<Operand> parts;
  for (std::int64_t i = 0; i < r * r; ++i) parts.emplace_back(picked(x, i / r, i % r, r));
  return back_in_place(run, concatenate(parts, 0), w);
}

struct Way {
  const char* name;
  Variable (*build)(const DilatedRun& run, const Variable& x, const Variable& w);
};
constexpr Way ways[] = {{"Subpixel DCD", subpixel},
                        {"Normal DCD", normal},
                        {"im2col DCD", im2col},
                        {"Batchroll DCD", batch_roll},
                        {"BatchStack DCD", batch_stack}};

/// Whether all ways give the same for one image; they are compared before they are measured.
void check_agreement(PassReport& report, const DilatedRun& run) {
  DilatedRun one = run;
  one.conv.batch = 1;
  const Variable x = tensor(DType::float32, one.image(), "X"), w = tensor(DType::float32, one.filters(), "W");
  const Tensor image = normal_values(one.image(), 1), filters = normal_values(one.filters(), 2);
  std::optional<Tensor> expected;
  double most = 0;
  for (const Way& way : ways) {
    if (is_skipped(way.name)) continue;
    Tensor y;
    try {
      y = function({x, w}, way.build(one, x, w))(image, filters)[0].to_host();
    } catch (const DeviceError&) {  // nobody takes it: the passes will say why
      continue;
    }
    if (!expected) expected = y;
    for (std::int64_t i = 0; i < y.size(); ++i)
      most = std::max(most, static_cast<double>(std::abs(y.data<float>()[i] - expected->data<float>()[i])));
  }
  report.line(fmt::format("largest difference between the ways: {:.2g}", most));
}

void measure(PassReport& report, const DilatedRun& run) {
  const ConvRun& c = run.conv;
  const std::string heading = fmt::format(
      "CONFIG: input = {} x {} x {} * ker = {} x {} x {} x {} ( bs = {} , stride = 1 scale = {} )",
      c.channels, c.width, c.height, c.channels, c.filters, c.kernel_width, c.kernel_height, c.batch,
      run.scale);
  report.line(heading);
  ConvPasses passes;
  passes.shared_x = shared(normal_values(run.image(), 1), "sharedX", {.shape = run.image()});
  passes.shared_w = shared(normal_values(run.filters(), 2), "sharedW", {.shape = run.filters()});
  passes.shared_y = shared(normal_values(run.output(), 3), "sharedY", {.shape = run.output()});
  passes.x = tensor(DType::float32, run.image(), "X");
  check_agreement(report, run);
  for (const Way& way : ways) {
    if (is_skipped(way.name)) continue;
    passes.y = way.build(run, passes.x, passes.shared_w);
    passes.measure(report, heading.substr(8), way.name, c.flops());
  }
}

/// Gives a run the padding that keeps the size. The dilation is 2 unless another is said.
void keep_size(ConvRun& run) {
  const auto refuse = [&](const std::string& why) {
    throw ValueError(fmt::format("'{}': {}", run.heading(), why));
  };
  if (run.is_3d) refuse("the five ways are for two axes");
  if (run.dilation_width * run.dilation_height == 1) run.dilation_width = run.dilation_height = 2;
  const std::int64_t scale = run.dilation_width;
  if (run.dilation_height != scale) refuse("the five ways need the same dilation along both axes");
  if (run.height % scale != 0 || run.width % scale != 0)
    refuse(fmt::format("the five ways need a dilation that divides height and width; {} does not", scale));
  if (run.kernel_width % 2 == 0 || run.kernel_height % 2 == 0) refuse("the five ways need odd filters");
  if (run.groups != 1) refuse("the five ways need one group");
  if (run.stride_width * run.stride_height != 1) refuse("the five ways need stride 1");
  const std::int64_t width = run.kernel_width / 2 * scale, height = run.kernel_height / 2 * scale;
  if (run.pad_width + run.pad_height > 0 && (run.pad_width != width || run.pad_height != height))
    refuse(fmt::format("the five ways keep the image's size: the padding is {} x {}", width, height));
  run.pad_width = width;
  run.pad_height = height;
}

std::vector<std::string> way_names() {
  std::vector<std::string> names;
  for (const Way& way : ways) names.emplace_back(way.name);
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<ConvRun> built_in;
  for (const char* pixels : {"64x64", "32x32", "16x16"})
    built_in.push_back(parse_run(fmt::format("i3x{},k128x3x3,d2,p2", pixels)));
  return run_benchmark(
      argc, argv,
      {.name = "dilated_bench",
       .purpose = "Measures dilated convolution done in five ways: the forward pass and both gradients.\n"
                  "SKIP='normal dcd,...' leaves some out; PRINT_GRAPH=1 prints every compiled graph.",
       .configuration = "like i3x64x64,k128x3x3,b128,d2",
       .chart_title = "Dilated convolution in five ways, milliseconds a call",
       .ways = way_names(),
       .built_in = std::move(built_in),
       .complete = keep_size,
       .measure = [](PassReport& report, const ConvRun& run) {
         measure(report, {run, run.dilation_width});
       }});
}
