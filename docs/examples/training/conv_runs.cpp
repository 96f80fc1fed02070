#include "conv_runs.h"

#include <croton/croton.h>
#include <fmt/format.h>

#include <charconv>

using croton::ValueError;

namespace {

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
    if (error != std::errc{} || end != word.data() + word.size() || n < 0)
      throw ValueError(fmt::format("configuration part '{}': '{}' is not a number", part, word));
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

double ConvRun::flops() const {
  return 2.0 * static_cast<double>(batch * filters) *
         static_cast<double>(channels / groups * kernel_width * kernel_height) *
         static_cast<double>(out_width() * out_height());
}

std::string ConvRun::heading() const {
  const auto pair = [](std::int64_t a, std::int64_t b) {
    return a == b ? fmt::format("{}", a) : fmt::format("{} x {}", a, b);
  };
  std::string text =
      fmt::format("CONFIG: input = {} x {} x {} * ker = {} x {} x {} x {} ( bs = {} , stride = {}", channels,
                  width, height, channels / groups, filters, kernel_width, kernel_height, batch,
                  pair(stride_width, stride_height));
  if (pad_width + pad_height > 0) text += " , pad = " + pair(pad_width, pad_height);
  if (dilation_width * dilation_height > 1) text += " , dilation = " + pair(dilation_width, dilation_height);
  if (groups > 1) text += fmt::format(" , groups = {}", groups);
  return text + " )" + (name.empty() ? "" : "  " + name);
}

ConvRun parse_run(const std::string& text) {
  ConvRun run;
  struct Part {
    char letter;
    std::vector<std::int64_t*> values;
    bool is_required = false;
  };
  const std::vector<Part> parts = {{'i', {&run.channels, &run.width, &run.height}, true},
                                   {'k', {&run.filters, &run.kernel_width, &run.kernel_height}, true},
                                   {'b', {&run.batch}},
                                   {'s', {&run.stride_width, &run.stride_height}},
                                   {'p', {&run.pad_width, &run.pad_height}},
                                   {'d', {&run.dilation_width, &run.dilation_height}},
                                   {'g', {&run.groups}}};
  std::string seen;
  for (const std::string& given : split_at(text, ',')) {
    const auto part = std::find_if(parts.begin(), parts.end(),
                                   [&](const Part& p) { return !given.empty() && p.letter == given[0]; });
    if (part == parts.end()) {
      throw ValueError(
          fmt::format("configuration '{}': no part begins like '{}'; there are i, k, b, s, p, d and g, as in "
                      "i3x80x15,k32x3x7,b256,s2x2",
                      text, given));
    }
    std::vector<std::int64_t> list = numbers(given);
    if (list.size() == 1 && part->values.size() == 2) list.push_back(list[0]);
    if (list.size() != part->values.size())
      throw ValueError(fmt::format("configuration part '{}': {} numbers, it needs {}", given, list.size(),
                                   part->values.size()));
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
  if (run.stride_width < 1 || run.stride_height < 1 || run.dilation_width < 1 || run.dilation_height < 1)
    throw ValueError(fmt::format("configuration '{}': strides and dilations are at least 1", text));
  if (run.out_width() == 0 || run.out_height() == 0)
    throw ValueError(
        fmt::format("configuration '{}': the filter is larger than the image and its padding", text));
  return run;
}

std::vector<ConvRun> selected_runs(const std::vector<std::string>& arguments,
                                   const std::vector<ConvRun>& built_in) {
  if (arguments.empty()) return built_in;
  std::vector<ConvRun> runs;
  for (const std::string& argument : arguments) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), number);
    if (error != std::errc{} || end != argument.data() + argument.size()) {
      runs.push_back(parse_run(argument));
    } else if (number < 1 || number > built_in.size()) {
      throw ValueError(fmt::format("there is no run {}; they go from 1 to {}:\n{}", number, built_in.size(),
                                   list_of(built_in)));
    } else {
      runs.push_back(built_in[number - 1]);
    }
  }
  return runs;
}

std::string list_of(const std::vector<ConvRun>& built_in) {
  std::string text;
  for (std::size_t i = 0; i < built_in.size(); ++i)
    text += fmt::format("{:>3}  {}\n", i + 1, built_in[i].heading());
  return text;
}
