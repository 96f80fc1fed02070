#include "conv_runs.h"

#include <croton/croton.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

using croton::ValueError;

namespace {

constexpr std::int64_t most_extent = 1'000'000'000;  // of which all sums fit in 64 bits

std::int64_t out_extent(std::int64_t image, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
                        std::int64_t dilation) {
  const std::int64_t room = image + 2 * pad - ((kernel - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<std::int64_t> numbers(const std::string& part) {
  std::vector<std::int64_t> list;
  for (const std::string& word : split_at(part.substr(1), 'x')) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), n);
    if (error != std::errc{} || end != word.data() + word.size() || n < 0 || n > most_extent) {
      throw ValueError(
          fmt::format("configuration part '{}': '{}' is not a number from 0 to {}", part, word, most_extent));
    }
    list.push_back(n);
  }
  return list;
}

}  // namespace

std::int64_t ConvRun::out_width() const {
  return out_extent(width, kernel_width, stride_width, pad_width, dilation_width);
}
std::int64_t ConvRun::out_height() const {
  return out_extent(height, kernel_height, stride_height, pad_height, dilation_height);
}

std::int64_t ConvRun::out_depth() const {
  return out_extent(depth, kernel_depth, stride_depth, pad_depth, dilation_depth);
}

double ConvRun::flops() const {
  double product = 2;
  for (const std::int64_t factor : {batch, filters, channels / groups, kernel_width, kernel_height,
                                    kernel_depth, out_width(), out_height(), out_depth()})
    product *= static_cast<double>(factor);
  return product;
}

std::string ConvRun::heading() const {
  const auto product = [&](std::int64_t w, std::int64_t h, std::int64_t d) {
    return is_3d ? fmt::format("{} x {} x {}", w, h, d) : fmt::format("{} x {}", w, h);
  };
  const auto option = [&](std::int64_t w, std::int64_t h, std::int64_t d) {
    return w == h && (!is_3d || h == d) ? fmt::format("{}", w) : product(w, h, d);
  };
  std::string text = fmt::format("CONFIG: input = {} x {} * ker = {} x {} x {} ( bs = {} , stride = {}",
                                 channels, product(width, height, depth), channels / groups, filters,
                                 product(kernel_width, kernel_height, kernel_depth), batch,
                                 option(stride_width, stride_height, stride_depth));
  if (pad_width + pad_height + pad_depth > 0) text += " , pad = " + option(pad_width, pad_height, pad_depth);
  if (dilation_width * dilation_height * dilation_depth > 1)
    text += " , dilation = " + option(dilation_width, dilation_height, dilation_depth);
  if (groups > 1) text += fmt::format(" , groups = {}", groups);
  return text + " )" + (name.empty() ? "" : "  " + name);
}

ConvRun parse_run(const std::string& text, const std::function<void(ConvRun&)>& complete) {
  ConvRun run;
  struct Part {
    char letter;
    std::vector<std::int64_t*> values;
    bool is_required = false;
    bool has_depth = true;  // the last value counts along three axes only
  };
  const std::vector<Part> parts = {
      {'i', {&run.channels, &run.width, &run.height, &run.depth}, true},
      {'k', {&run.filters, &run.kernel_width, &run.kernel_height, &run.kernel_depth}, true},
      {'b', {&run.batch}, false, false},
      {'s', {&run.stride_width, &run.stride_height, &run.stride_depth}},
      {'p', {&run.pad_width, &run.pad_height, &run.pad_depth}},
      {'d', {&run.dilation_width, &run.dilation_height, &run.dilation_depth}},
      {'g', {&run.groups}, false, false}};
  const std::vector<std::string> all_given = split_at(text, ',');
  for (const std::string& given : all_given) {
    if (given.starts_with('i')) run.is_3d = numbers(given).size() == 4;
  }
  std::string seen;
  for (const std::string& given : all_given) {
    const auto part = std::find_if(parts.begin(), parts.end(),
                                   [&](const Part& p) { return !given.empty() && p.letter == given[0]; });
    if (part == parts.end()) {
      throw ValueError(
          fmt::format("configuration '{}': no part begins like '{}'; there are i, k, b, s, p, d and g, as in "
                      "i3x80x15,k32x3x7,b256,s2x2",
                      text, given));
    }
    if (seen.find(part->letter) != std::string::npos)
      throw ValueError(fmt::format("configuration '{}' has two parts {}", text, part->letter));
    std::vector<std::int64_t> list = numbers(given);
    const std::size_t wanted = part->values.size() - (part->has_depth && !run.is_3d ? 1 : 0);
    if (list.size() == 1 && !part->is_required) list.resize(wanted, list[0]);
    if (list.size() != wanted)
      throw ValueError(
          fmt::format("configuration part '{}': {} numbers, it needs {}", given, list.size(), wanted));
    for (std::size_t i = 0; i < list.size(); ++i) *part->values[i] = list[i];
    seen += part->letter;
  }
  for (const Part& part : parts) {
    if (part.is_required && seen.find(part.letter) == std::string::npos)
      throw ValueError(fmt::format("configuration '{}' has no part {}", text, part.letter));
  }
  if (run.groups < 1 || run.channels % run.groups != 0 || run.filters % run.groups != 0)
    throw ValueError(fmt::format("configuration '{}': {} groups do not divide {} channels and {} filters",
                                 text, run.groups, run.channels, run.filters));
  if (std::min({run.stride_width, run.stride_height, run.stride_depth, run.dilation_width,
                run.dilation_height, run.dilation_depth}) < 1)
    throw ValueError(fmt::format("configuration '{}': strides and dilations are at least 1", text));
  if (std::min({run.kernel_width, run.kernel_height, run.kernel_depth}) < 1)
    throw ValueError(fmt::format("configuration '{}': a filter has at least one element", text));
  if (complete) complete(run);
  if (run.out_width() == 0 || run.out_height() == 0 || run.out_depth() == 0)
    throw ValueError(
        fmt::format("configuration '{}': the filter is larger than the image and its padding", text));
  return run;
}

std::vector<ConvRun> selected_runs(const std::vector<std::string>& arguments,
                                   const std::vector<ConvRun>& built_in,
                                   const std::function<void(ConvRun&)>& complete) {
  std::vector<ConvRun> runs;
  if (arguments.empty()) runs = built_in;
  for (const std::string& argument : arguments) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), number);
    if (error != std::errc{} || end != argument.data() + argument.size()) {
      runs.push_back(parse_run(argument, complete));
    } else if (number < 1 || number > built_in.size()) {
      throw ValueError(fmt::format("there is no run {}; they go from 1 to {}:\n{}", number, built_in.size(),
                                   list_of(built_in)));
    } else {
      runs.push_back(built_in[number - 1]);
    }
  }
  if (complete) std::for_each(runs.begin(), runs.end(), complete);
  return runs;
}

std::string list_of(const std::vector<ConvRun>& built_in) {
  std::string text;
  for (std::size_t i = 0; i < built_in.size(); ++i)
    text += fmt::format("{:>3}  {}\n", i + 1, built_in[i].heading());
  return text;
}
