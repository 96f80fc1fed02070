#include "croton/graph/flags.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "croton/graph/device.h"
#include "croton/graph/error.h"
#include "croton/graph/flags_of_theano.h"
#include "croton/graph/flags_text.h"
#include "croton/graph/nearest_names.h"

namespace croton {
namespace {

/// A value that a flag does not take; assign() says which flag and where it came from.
struct BadValue {
  std::string reason;
};

/// A checked value: its usual spelling, and the number that stands for it where there is one.
struct Parsed {
  std::string text;
  std::int64_t number = 0;
};

std::vector<std::string_view> words_of(std::string_view list) {
  std::vector<std::string_view> words;
  while (!list.empty()) {
    const std::size_t comma = list.find(", ");
    words.push_back(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 2);
  }
  return words;
}

template <class T>
constexpr bool is_choice = std::is_enum_v<T> && !std::is_same_v<T, DType>;

template <class T>
std::string values_of() {
  if constexpr (is_choice<T>) {
    const bool several = words_of(choice_words(T{})).size() > 1;
    return fmt::format("{}{}", several ? "one of " : "", choice_words(T{}));
  } else if constexpr (std::is_same_v<T, bool>) {
    return "true or false";
  } else if constexpr (std::is_same_v<T, int>) {
    return "an integer from 0 on";
  } else if constexpr (std::is_same_v<T, double>) {
    return "a number from 0 on";
  } else if constexpr (std::is_same_v<T, DType>) {
    return "one of float32, float64, float16";
  } else if constexpr (std::is_same_v<T, DeviceName>) {
    return "cpu, cuda, cuda0, cuda1, …, most-free, auto or a GPU's uuid";
  } else if constexpr (std::is_same_v<T, FlagList>) {
    return "names with : between";
  } else {
    return "a path; ~ is the home directory";
  }
}

template <class T>
Parsed parse(std::string_view value) {
  if constexpr (is_choice<T>) {
    const auto words = words_of(choice_words(T{}));
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == value) return {std::string(value), static_cast<std::int64_t>(i)};
    }
    throw BadValue{did_you_mean(value, words)};
  } else if constexpr (std::is_same_v<T, bool>) {
    if (value == "true" || value == "True" || value == "1") return {"true", 1};
    if (value == "false" || value == "False" || value == "0") return {"false", 0};
    throw BadValue{};
  } else if constexpr (std::is_same_v<T, int>) {
    int number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || number < 0) throw BadValue{};
    return {std::to_string(number), number};
  } else if constexpr (std::is_same_v<T, double>) {
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || !(number >= 0)) throw BadValue{};
    return {std::string(value)};
  } else if constexpr (std::is_same_v<T, DType>) {
    const std::string name =
        value == "16" || value == "32" || value == "64" ? fmt::format("float{}", value) : std::string(value);
    for (DType dtype : {DType::float32, DType::float64, DType::float16}) {
      if (name_of(dtype) == name) return {name, static_cast<std::int64_t>(dtype)};
    }
    static constexpr std::string_view known[] = {"float32", "float64", "float16"};
    throw BadValue{did_you_mean(value, known)};
  } else if constexpr (std::is_same_v<T, DeviceName>) {
    if (value == "auto" || value == "most-free" || value.starts_with("GPU-")) return {std::string(value)};
    if (value.starts_with("gpu")) throw BadValue{"; GPUs are called cuda"};
    try {
      // "cuda" stays as it is: the first device, unless the flag is changed.
      const Device device = Device::from_name(value);
      return {value == "cuda" ? std::string(value) : to_string(device)};
    } catch (const ValueError&) {
      throw BadValue{};
    }
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    const char* home = std::getenv("HOME");
    const bool at_home = value == "~" || value.starts_with("~/");
    if (at_home && home) return {fmt::format("{}{}", home, value.substr(1))};
    return {std::string(value)};
  } else {
    return {std::string(value)};
  }
}

struct Flag {
  std::string_view name;
  std::string_view default_value;
  Parsed (*parse)(std::string_view);
};

#define CROTON_FLAG_ROW(member, name, Type, default_value, doc) Flag{name, default_value, &parse<Type>},
constexpr Flag flags[] = {CROTON_FLAG_TABLE(CROTON_FLAG_ROW)};
#undef CROTON_FLAG_ROW

std::size_t index_of(std::string_view name, std::string_view where) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < flag_count; ++i) {
    if (flags[i].name == name) return i;
    names.push_back(flags[i].name);
  }
  const std::string_view instead = in_place_of_theano_flag(name);
  throw FlagError(
      fmt::format("{}: there is no flag \"{}\"{}", where, name,
                  instead.empty() ? did_you_mean(name, names) : fmt::format(" in Croton; {}", instead)));
}

Parsed parse_value(std::size_t index, std::string_view value, std::string_view where) {
  try {
    return flags[index].parse(value);
  } catch (const BadValue& bad) {
    throw FlagError(fmt::format("{}: the flag {} takes {}, not \"{}\"{}", where, flags[index].name,
                                flag_infos()[index].values, value, bad.reason));
  }
}

/// Nothing when the file cannot be read; errno says why.
std::optional<std::string> text_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  if (!in || !(text << in.rdbuf()) || in.bad()) {
    // An empty file is no error: inserting nothing fails as well.
    if (in && in.peek() == std::ifstream::traits_type::eof()) return std::string();
    return std::nullopt;
  }
  return text.str();
}

}  // namespace

const std::vector<FlagInfo>& flag_infos() {
#define CROTON_FLAG_INFO(member, name, Type, default_value, doc) \
  FlagInfo{name, values_of<Type>(), default_value, doc},
  static const std::vector<FlagInfo> infos = {CROTON_FLAG_TABLE(CROTON_FLAG_INFO)};
#undef CROTON_FLAG_INFO
  return infos;
}

Config::Config() {
  for (std::size_t i = 0; i < flag_count; ++i) {
    Parsed parsed = parse_value(i, flags[i].default_value, "default");
    numbers_[i] = parsed.number;
    slots_[i] = {std::move(parsed.text), "default", FlagOrigin::built_in};
  }
}

void Config::assign(std::string_view name, std::string_view value, FlagOrigin origin,
                    std::string_view where) {
  const FlagAssignment assignment{std::string(name), std::string(value), std::string(where)};
  assign_all({&assignment, 1}, origin);
}

void Config::assign_all(std::span<const FlagAssignment> assignments, FlagOrigin origin) {
  std::vector<std::pair<std::size_t, Parsed>> parsed;
  for (const FlagAssignment& a : assignments) {
    const std::size_t index = index_of(a.name, a.where);
    parsed.emplace_back(index, parse_value(index, a.value, a.where));
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    auto& [index, value] = parsed[i];
    if (origin < slots_[index].origin) continue;
    numbers_[index].store(value.number, std::memory_order_relaxed);
    slots_[index] = {std::move(value.text), assignments[i].where, origin};
  }
}

void Config::read_string(std::string_view assignments, FlagOrigin origin, std::string_view source) {
  assign_all(parse_flag_string(assignments, source), origin);
}

void Config::read_file_text(std::string_view text, std::string_view file) {
  assign_all(parse_flag_file(text, file), FlagOrigin::file);
}

void Config::read_surroundings() {
  if (const char* listed = std::getenv("CROTONRC")) {
    for (const std::string& file : split(listed)) {
      const auto text = text_of(file);
      if (!text) throw FlagError(fmt::format("CROTONRC: cannot read \"{}\": {}", file, std::strerror(errno)));
      read_file_text(*text, file);
    }
  } else if (const char* home = std::getenv("HOME")) {
    const std::string file = fmt::format("{}/.crotonrc", home);
    if (const auto text = text_of(file)) read_file_text(*text, file);
  }
  if (const char* given = std::getenv("CROTON_FLAGS"))
    read_string(given, FlagOrigin::environment, "CROTON_FLAGS");
}

std::string Config::get(std::string_view name) const { return slot(index_of(name, "config().get")).text; }

std::string Config::source(std::string_view name) const {
  return slot(index_of(name, "config().source")).source;
}

Config::Slot Config::slot(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  return slots_[index];
}

void Config::restore(std::size_t index, Slot slot) {
  const std::int64_t number = flags[index].parse(slot.text).number;
  const std::lock_guard lock(mutex_);
  numbers_[index].store(number, std::memory_order_relaxed);
  slots_[index] = std::move(slot);
}

FlagList Config::split(std::string_view text) {
  FlagList words;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    if (colon != 0) words.emplace_back(text.substr(0, colon));
    text.remove_prefix(colon == std::string_view::npos ? text.size() : colon + 1);
  }
  return words;
}

Config& config() {
  // Not destroyed: other static objects may read flags while they are.
  static Config& instance = *[] {
    auto fresh = std::make_unique<Config>();
    fresh->read_surroundings();
    return fresh.release();
  }();
  return instance;
}

ConfigScope::ConfigScope(std::initializer_list<std::pair<std::string_view, std::string_view>> values,
                         Config& config)
    : config_(config) {
  try {
    for (const auto& [name, value] : values) {
      const std::size_t index = index_of(name, "ConfigScope");
      Config::Slot old = config_.slot(index);
      config_.assign(name, value, FlagOrigin::code, "ConfigScope");
      old_.emplace_back(index, std::move(old));
    }
  } catch (...) {
    put_back();
    throw;
  }
}

ConfigScope::~ConfigScope() { put_back(); }

void ConfigScope::put_back() {
  for (auto at = old_.rbegin(); at != old_.rend(); ++at) config_.restore(at->first, std::move(at->second));
}

}  // namespace croton
