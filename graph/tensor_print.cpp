// Prints tensors as NumPy 2 prints arrays under its default options: 8 digits after the point, 3 items at
// each end of an axis when there are more than 1000 elements, lines of 75 characters.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/tensor_cast.h"

namespace croton {
namespace {

constexpr int most_digits = 8;
constexpr std::int64_t summary_threshold = 1000;
constexpr std::int64_t edge_items = 3;
constexpr std::size_t line_width = 75;

/// A finite value's sign, significant digits and the power of ten of the first one.
struct Decimal {
  bool negative = false;
  std::string digits;
  int exponent = 0;
};

/// "-1.25e-07", as std::to_chars and fmt write it.
Decimal parse_scientific(std::string_view text) {
  Decimal result;
  if (text.front() == '-') {
    result.negative = true;
    text.remove_prefix(1);
  }
  const std::size_t e = text.find('e');
  for (char c : text.substr(0, e)) {
    if (c != '.') result.digits += c;
  }
  std::string_view power = text.substr(e + 1);
  if (power.front() == '+') power.remove_prefix(1);
  std::from_chars(power.data(), power.data() + power.size(), result.exponent);
  while (result.digits.size() > 1 && result.digits.back() == '0') result.digits.pop_back();
  return result;
}

/// The fewest digits that read back as the same value.
template <class T>
Decimal shortest(T value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  return parse_scientific({buffer, end});
}

Decimal shortest(float16 value) {
  const double exact = static_cast<float>(value);
  for (int precision = 0;; ++precision) {
    // A tie between two decimals may read back from one side only: look just above and below as well.
    for (double near : {exact, exact * (1 + 1e-12), exact * (1 - 1e-12)}) {
      const std::string text = fmt::format("{:.{}e}", near, precision);
      if (precision == 5 || convert_element<float16>(std::stod(text)).bits == value.bits)
        return parse_scientific(text);
    }
  }
}

/// At most `most_digits` digits after the point of the scientific form.
template <class T>
Decimal rounded_scientific(T value) {
  Decimal result = shortest(value);
  if (result.digits.size() > most_digits + 1)
    result = parse_scientific(fmt::format("{:.{}e}", static_cast<double>(value), most_digits));
  return result;
}

/// "12.5", "-0.": no zeros at the end, at most `digits` digits after the point.
template <class T>
std::string positional(T value, int digits = std::numeric_limits<int>::max()) {
  const Decimal d = shortest(value);
  std::string text = d.negative ? "-" : "";
  const int count = static_cast<int>(d.digits.size());
  if (count - 1 - d.exponent > digits) {
    text = fmt::format("{:.{}f}", static_cast<double>(value), digits);
    text.resize(text.find_last_not_of('0') + 1);
  } else if (d.exponent < 0) {
    text += "0.";
    if (d.digits != "0") text.append(static_cast<std::size_t>(-d.exponent - 1), '0').append(d.digits);
  } else {
    for (int i = 0; i <= d.exponent; ++i) text += i < count ? d.digits[static_cast<std::size_t>(i)] : '0';
    text += '.';
    if (count > d.exponent + 1) text.append(d.digits, static_cast<std::size_t>(d.exponent + 1));
  }
  return text;
}

std::string exponent_text(int exponent, std::size_t digits) {
  return fmt::format("e{}{:0{}}", exponent < 0 ? '-' : '+', std::abs(exponent), digits);
}

template <class T>
std::string non_finite(T value) {
  return std::isnan(value) ? "nan" : value < T(0) ? "-inf" : "inf";
}

/// From where on magnitudes are written with exponents, in arrays and alone.
template <class T>
struct FloatLimits;
template <>
struct FloatLimits<float16> {
  static constexpr double array = 1e3, scalar = 1e3;
};
template <>
struct FloatLimits<float> {
  static constexpr double array = 1e6, scalar = 1e6;
};
template <>
struct FloatLimits<double> {
  static constexpr double array = 1e8, scalar = 1e16;
};

/// A single value as NumPy prints a scalar: all the digits it takes.
template <class T>
std::string scalar_text(T value) {
  const double v = static_cast<double>(value);
  if (!std::isfinite(v)) return non_finite(v);
  if (v == 0 || (std::abs(v) >= 1e-4 && std::abs(v) < FloatLimits<T>::scalar)) {
    std::string text = positional(value);
    if (text.back() == '.') text += '0';
    return text;
  }
  const Decimal d = shortest(value);
  std::string text = (d.negative ? "-" : "") + d.digits.substr(0, 1);
  if (d.digits.size() > 1) text += '.' + d.digits.substr(1);
  return text + exponent_text(d.exponent, 2);
}

/// Whether the values are better read with exponents. The comparisons happen in T, as NumPy's do.
template <class T>
bool wants_exponents(const std::vector<T>& values) {
  T least{}, most{};
  for (T v : values) {
    if (!std::isfinite(static_cast<double>(v)) || v == T(0)) continue;
    const T magnitude = v < T(0) ? T(-v) : v;
    if (most == T(0) || magnitude > most) most = magnitude;
    if (least == T(0) || magnitude < least) least = magnitude;
  }
  if (most == T(0)) return false;
  return static_cast<double>(most) >= FloatLimits<T>::array || least < convert_element<T>(0.0001) ||
         convert_element<T>(static_cast<double>(most) / static_cast<double>(least)) > T(1000);
}

void pad_left(std::string& text, std::size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
}

template <class T>
std::vector<std::string> positional_words(const std::vector<T>& values) {
  std::vector<std::string> words;
  std::size_t left = 0, right = 0;
  for (T v : values) {
    if (!std::isfinite(static_cast<double>(v))) {
      words.emplace_back();
      continue;
    }
    words.push_back(positional(v, most_digits));
    const std::size_t point = words.back().find('.');
    left = std::max(left, point);
    right = std::max(right, words.back().size() - point - 1);
  }
  std::size_t width = left + 1 + right;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].empty()) continue;
    words[i] = non_finite(values[i]);
    width = std::max(width, words[i].size());
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t point = words[i].find('.');
    if (point != std::string::npos) words[i].append(right - (words[i].size() - point - 1), ' ');
    pad_left(words[i], width);
  }
  return words;
}

template <class T>
std::vector<std::string> scientific_words(const std::vector<T>& values) {
  std::vector<Decimal> decimals(values.size());
  std::size_t digits = 0, power_digits = 2;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(static_cast<double>(values[i]))) continue;
    decimals[i] = rounded_scientific(values[i]);
    digits = std::max(digits, decimals[i].digits.size() - 1);
    if (std::abs(decimals[i].exponent) >= 100) power_digits = 3;
  }
  std::vector<std::string> words;
  std::size_t width = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Decimal& d = decimals[i];
    if (d.digits.empty()) {
      words.push_back(non_finite(values[i]));
    } else {
      // A value that needs fewer digits than its neighbours shows more of its exact ones.
      if (d.digits.size() <= digits)
        d = parse_scientific(fmt::format("{:.{}e}", static_cast<double>(values[i]), digits));
      d.digits.resize(digits + 1, '0');
      words.push_back((d.negative ? "-" : "") + d.digits.substr(0, 1) + '.' + d.digits.substr(1) +
                      exponent_text(d.exponent, power_digits));
    }
    width = std::max(width, words.back().size());
  }
  for (std::string& word : words) pad_left(word, width);
  return words;
}

template <class T>
std::vector<std::string> words_of(const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return words_of(std::vector<float>(values.begin(), values.end()));
  } else if constexpr (std::is_integral_v<T>) {
    std::vector<std::string> words;
    std::size_t width = 0;
    for (T v : values) {
      words.push_back(std::is_same_v<T, bool> ? (v ? "True" : "False") : std::to_string(v));
      width = std::max(width, words.back().size());
    }
    if constexpr (std::is_same_v<T, bool>) width = 5;
    for (std::string& word : words) pad_left(word, width);
    return words;
  } else {
    return wants_exponents(values) ? scientific_words(values) : positional_words(values);
  }
}

template <class T>
std::string scalar_word(T value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "True" : "False";
  else if constexpr (std::is_integral_v<T>)
    return std::to_string(value);
  else if constexpr (std::is_same_v<T, bfloat16>)
    return scalar_text(static_cast<float>(value));
  else
    return scalar_text(value);
}

/// The elements that are shown, in C order.
template <class T>
void collect(const Tensor& tensor, bool summarized, std::vector<T>& values) {
  if (tensor.rank() == 0) {
    values.push_back(*tensor.data<const T>());
    return;
  }
  const std::int64_t extent = tensor.shape()[0];
  for (std::int64_t i = 0; i < extent; ++i) {
    if (summarized && extent > 2 * edge_items && i == edge_items) i = extent - edge_items;
    collect(tensor[i], summarized, values);
  }
}

/// Puts brackets, spaces and line breaks around the words.
class Layout {
 public:
  Layout(const Shape& shape, bool summarized, std::vector<std::string> words)
      : shape_(shape), summarized_(summarized), words_(std::move(words)) {}

  std::string block(std::size_t axis, std::size_t indent, std::size_t width) {
    return axis + 1 == shape_.size() ? row(shape_[axis], indent, width) : rows(axis, indent, width);
  }

 private:
  bool skips(std::int64_t extent) const { return summarized_ && extent > 2 * edge_items; }

  std::string row(std::int64_t extent, std::size_t indent, std::size_t width) {
    std::string text, line(indent, ' ');
    auto add = [&](const std::string& word, bool last) {
      if (line.size() + word.size() > width - 1 && line.size() > indent) {
        line.resize(line.find_last_not_of(' ') + 1);
        text += line + '\n';
        line.assign(indent, ' ');
      }
      line += word;
      if (!last) line += ' ';
    };
    for (std::int64_t i = 0; i < extent; ++i) {
      if (skips(extent) && i == edge_items) {
        add("...", false);
        i = extent - edge_items;
      }
      add(words_[next_++], i + 1 == extent);
    }
    text += line;
    return '[' + text.substr(indent) + ']';
  }

  std::string rows(std::size_t axis, std::size_t indent, std::size_t width) {
    const std::string lead(indent, ' ');
    const std::string breaks(shape_.size() - axis - 1, '\n');
    std::string text = "[";
    for (std::int64_t i = 0; i < shape_[axis]; ++i) {
      if (skips(shape_[axis]) && i == edge_items) {
        text += lead + "..." + breaks;
        i = shape_[axis] - edge_items;
      }
      if (i > 0) text += lead;
      text += block(axis + 1, indent + 1, width - 1);
      text += i + 1 == shape_[axis] ? "]" : breaks;
    }
    return text;
  }

  Shape shape_;
  bool summarized_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  if (tensor.size() == 0) return "[]";
  const Tensor here = tensor.to_host();
  return visit_dtype(here.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (here.rank() == 0) return scalar_word(*here.data<const T>());
    const bool summarized = here.size() > summary_threshold;
    std::vector<T> values;
    collect(here, summarized, values);
    return Layout(here.shape(), summarized, words_of(values)).block(0, 1, line_width);
  });
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << to_string(tensor); }

}  // namespace croton
