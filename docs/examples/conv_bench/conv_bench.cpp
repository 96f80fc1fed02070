// The three passes of convolutions by every implementation.

#include <croton/croton.h>

#include <cstdlib>

#include "../training/run_benchmark.h"

using namespace croton;

namespace {

/// The layers L1 to L5 of convnet-benchmarks and those of AlexNet, VGG and GoogLeNet.
std::vector<ConvRun> built_in_runs() {
  std::vector<ConvRun> runs;
  const auto add = [&](const char* name, const char* configuration) {
    runs.push_back(parse_run(configuration));
    runs.back().name = name;
  };
  add("L1", "i3x128x128,k96x11x11");
  add("L2", "i64x64x64,k128x9x9");
  add("L3", "i128x32x32,k128x9x9");
  add("L4", "i128x16x16,k128x7x7");
  add("L5", "i384x13x13,k384x3x3");
  add("AlexNet conv1", "i3x224x224,k96x11x11,s4,p2");
  add("AlexNet conv2", "i96x27x27,k256x5x5,p2,g2");
  add("AlexNet conv3", "i256x13x13,k384x3x3,p1");
  add("AlexNet conv4", "i384x13x13,k384x3x3,p1,g2");
  add("AlexNet conv5", "i384x13x13,k256x3x3,p1,g2");
  add("VGG conv1", "i3x224x224,k64x3x3,p1,b64");
  add("VGG conv2", "i64x112x112,k128x3x3,p1,b64");
  add("VGG conv3", "i128x56x56,k256x3x3,p1,b64");
  add("VGG conv4", "i256x56x56,k256x3x3,p1,b64");
  add("VGG conv5", "i256x28x28,k512x3x3,p1,b64");
  add("VGG conv6", "i512x28x28,k512x3x3,p1,b64");
  add("VGG conv7", "i512x14x14,k512x3x3,p1,b64");
  add("GoogLeNet conv1", "i3x224x224,k64x7x7,s2,p3");
  add("GoogLeNet conv2", "i64x56x56,k192x3x3,p1");
  add("GoogLeNet 3a 1x1", "i192x28x28,k64x1x1");
  add("GoogLeNet 3a 3x3", "i96x28x28,k128x3x3,p1");
  add("GoogLeNet 3a 5x5", "i16x28x28,k32x5x5,p2");
  add("GoogLeNet 4a 1x1", "i480x14x14,k192x1x1");
  add("GoogLeNet 4e 3x3", "i160x14x14,k320x3x3,p1");
  add("GoogLeNet 5b 5x5", "i48x7x7,k128x5x5,p2");
  return runs;
}

struct Way {
  const char* name;
  const char* tag;  // null: whatever the flags say
};
constexpr Way ways[] = {{"default", nullptr}, {"legacy", "conv_legacy"},     {"gemm", "conv_gemm"},
                        {"fft", "conv_fft"},  {"winograd", "conv_winograd"}, {"c01b", "conv_c01b"},
                        {"dnn", "conv_dnn"},  {"meta", "conv_meta"}};

/// One implementation and no other.
Mode mode_of(const Way& way) {
  Mode mode = default_mode();
  if (way.tag == nullptr) return mode;
  const std::string tag = way.tag;
  mode = mode.including(tag);
  if (tag == "conv_meta") return mode;
  for (const Way& other : ways) {
    if (other.tag != nullptr && tag != other.tag && std::string(other.tag) != "conv_meta")
      mode = mode.excluding(other.tag);
  }
  return mode;
}

/// LAYOUT=b01c: images, filters and outputs are held with the channels last.
bool is_channels_last() {
  const char* const said = std::getenv("LAYOUT");
  const std::string layout = said == nullptr ? "bc01" : said;
  if (layout != "bc01" && layout != "b01c")
    throw ValueError("LAYOUT is bc01 or b01c (channels last), not " + layout);
  return layout == "b01c";
}

/// FLIP=0: correlations, as other libraries call convolutions.
bool is_flipped() {
  const char* const said = std::getenv("FLIP");
  const std::string flip = said == nullptr ? "1" : said;
  if (flip != "0" && flip != "1") throw ValueError("FLIP is 0 (correlations) or 1, not " + flip);
  return flip == "1";
}

/// The second axis behind all others, or back.
std::vector<int> channels_last(std::size_t axes) {
  std::vector<int> pattern{0};
  for (std::size_t axis = 2; axis < axes; ++axis) pattern.push_back(static_cast<int>(axis));
  pattern.push_back(1);
  return pattern;
}
std::vector<int> channels_first(std::size_t axes) {
  std::vector<int> pattern{0, static_cast<int>(axes) - 1};
  for (std::size_t axis = 1; axis + 1 < axes; ++axis) pattern.push_back(static_cast<int>(axis));
  return pattern;
}

Variable convolution(const ConvRun& run, const Variable& x, const Variable& w) {
  const ConvPad height(run.pad_height), width(run.pad_width);
  if (!run.is_3d) {
    return conv2d(x, w,
                  {.border_mode = {height, width},
                   .subsample = {run.stride_height, run.stride_width},
                   .filter_flip = is_flipped(),
                   .filter_dilation = {run.dilation_height, run.dilation_width},
                   .num_groups = run.groups});
  }
  return conv3d(x, w,
                {.border_mode = {ConvPad(run.pad_depth), height, width},
                 .subsample = {run.stride_depth, run.stride_height, run.stride_width},
                 .filter_flip = is_flipped(),
                 .filter_dilation = {run.dilation_depth, run.dilation_height, run.dilation_width},
                 .num_groups = run.groups});
}

void measure(PassReport& report, const ConvRun& run) {
  report.line(run.heading());
  ConvPasses passes;
  const bool is_last = is_channels_last();
  const std::size_t axes = run.is_3d ? 5 : 4;
  const auto shape = [&](std::int64_t first, std::int64_t second, std::int64_t depth, std::int64_t height,
                         std::int64_t width) {
    Shape extents{first, height, width};
    if (run.is_3d) extents = {first, depth, height, width};
    extents.insert(is_last ? extents.size() : 1, second);
    return extents;
  };
  const Shape image = shape(run.batch, run.channels, run.depth, run.height, run.width);
  const Shape filters =
      shape(run.filters, run.channels / run.groups, run.kernel_depth, run.kernel_height, run.kernel_width);
  const Shape output = shape(run.batch, run.filters, run.out_depth(), run.out_height(), run.out_width());
  passes.shared_x = shared(normal_values(image, 1), "sharedX", {.shape = image});
  passes.shared_w = shared(normal_values(filters, 2), "sharedW", {.shape = filters});
  passes.shared_y = shared(normal_values(output, 3), "sharedY", {.shape = output});
  passes.x = tensor(DType::float32, image, "X");
  const auto as_bc01 = [&](const Variable& v) { return is_last ? v.dimshuffle(channels_first(axes)) : v; };
  passes.y = convolution(run, as_bc01(passes.x), as_bc01(passes.shared_w));
  if (is_last) passes.y = passes.y.dimshuffle(channels_last(axes));
  for (const Way& way : ways) {
    if (is_skipped(way.name)) continue;
    passes.mode = mode_of(way);
    passes.measure(report, run.heading().substr(8), way.name, run.flops());
  }
}

std::vector<std::string> way_names() {
  std::vector<std::string> names;
  for (const Way& way : ways) names.emplace_back(way.name);
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark(
      argc, argv,
      {.name = "conv_bench",
       .purpose =
           "Measures the forward pass and both gradients of convolutions with every implementation.\n"
           "SKIP=fft,legacy leaves some out; PRINT_GRAPH=1 prints every compiled graph; LAYOUT=b01c holds "
           "images, filters and outputs with the channels last; FLIP=0 computes "
           "correlations.",
       .configuration =
           "like i3x80x15,k32x3x7,b256,s2x2,p1,d2,g1: channels x width x height, filters x width x height, "
           "batch (128), strides (1), padding (0), dilation (1), groups (1); with a depth behind each "
           "height, as "
           "in i16x16x16x16,k32x3x3x3, along three axes",
       .chart_title = "Convolutions, milliseconds a call",
       .ways = way_names(),
       .built_in = built_in_runs(),
       .complete =
           [](ConvRun&) {  // complains now, not behind the first heading
             (void)is_channels_last();
             (void)is_flipped();
           },
       .measure = measure});
}
