#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/graph/flags_table.h"

namespace croton {

#define CROTON_FLAG_ID(member, name, Type, default_value, doc) member,
enum class FlagId : std::size_t { CROTON_FLAG_TABLE(CROTON_FLAG_ID) };
#undef CROTON_FLAG_ID
#define CROTON_COUNT(...) +1
inline constexpr std::size_t flag_count = 0 CROTON_FLAG_TABLE(CROTON_COUNT);
#undef CROTON_COUNT

/// What set a flag. A value gives way to one from further down this list only, and to a later one of its own
/// kind.
enum class FlagOrigin { built_in, file, environment, command_line, code };

/// One flag as documentation shows it.
struct FlagInfo {
  std::string_view name;
  /// "bool", "one of raise, warn, ignore", …
  std::string values;
  std::string_view default_value;
  std::string_view doc;
};
CROTON_API const std::vector<FlagInfo>& flag_infos();

/// Flags held as a number are read without a lock.
template <class T>
inline constexpr bool is_number_flag = std::is_enum_v<T> || std::is_integral_v<T>;

struct FlagAssignment;

/// The values of all flags. Any thread may read and write.
class CROTON_API Config {
  friend class ConfigScope;
  struct Slot {
    std::string text;
    std::string source;
    FlagOrigin origin = FlagOrigin::built_in;
  };
  void assign(std::string_view name, std::string_view value, FlagOrigin origin, std::string_view where);
  void assign_all(std::span<const FlagAssignment> assignments, FlagOrigin origin);
  Slot slot(std::size_t index) const;
  void restore(std::size_t index, Slot slot);
  std::string text(FlagId id) const { return slot(static_cast<std::size_t>(id)).text; }
  static FlagList split(std::string_view text);

  template <class T>
  auto read(FlagId id) const {
    if constexpr (is_number_flag<T>)
      return static_cast<T>(numbers_[static_cast<std::size_t>(id)].load(std::memory_order_relaxed));
    else if constexpr (std::is_same_v<T, FlagList>)
      return split(text(id));
    else if constexpr (std::is_same_v<T, DeviceName>)
      return text(id);
    else if constexpr (std::is_same_v<T, double>)
      return std::stod(text(id));
    else
      return T(text(id));
  }

 public:
  /// Every flag at its default.
  Config();

  /// Sets a flag from code. Throws FlagError for an unknown name or a value the flag does not take.
  void set(std::string_view name, std::string_view value) {
    assign(name, value, FlagOrigin::code, "config().set");
  }
  void set(std::string_view name, const char* value) { set(name, std::string_view(value)); }
  void set(std::string_view name, bool value) { set(name, std::string_view(value ? "true" : "false")); }
  void set(std::string_view name, int value) { set(name, std::string_view(std::to_string(value))); }
  void set(std::string_view name, DType value) { set(name, name_of(value)); }
  /// Reads `name=value,…`: what a program got with --flags. All or nothing. Throws FlagError.
  void read_string(std::string_view assignments, FlagOrigin origin = FlagOrigin::command_line,
                   std::string_view source = "--flags");
  /// Reads the text of an INI file called `file`. All or nothing. Throws FlagError.
  void read_file_text(std::string_view text, std::string_view file);
  /// Reads the files that CROTONRC lists (':' between), or ~/.crotonrc if there is one, then CROTON_FLAGS.
  /// Throws FlagError, also when a file that CROTONRC lists cannot be read.
  void read_surroundings();

  /// The value as text, as a flag string would give it. Throws FlagError for an unknown name.
  std::string get(std::string_view name) const;
  /// What set the value: "default", "CROTON_FLAGS, column 8", "/home/x/.crotonrc:3", …
  std::string source(std::string_view name) const;

#define CROTON_FLAG_READER(member, name, Type, default_value, doc) \
  auto member() const { return read<Type>(FlagId::member); }
  CROTON_FLAG_TABLE(CROTON_FLAG_READER)
#undef CROTON_FLAG_READER

 private:
  mutable std::mutex mutex_;
  std::array<std::atomic<std::int64_t>, flag_count> numbers_{};
  std::array<Slot, flag_count> slots_;
};

/// The configuration of the process. The first call reads the files and the environment; while one of them is
/// wrong, every call throws FlagError.
CROTON_API Config& config();

/// The dtype that floatX names.
inline DType float_x() { return config().floatX(); }

/// Sets flags and puts the old values back when it is destroyed: `ConfigScope scope({{"floatX",
/// "float64"}});`. The change holds for the whole process.
class CROTON_API ConfigScope {
 public:
  explicit ConfigScope(std::initializer_list<std::pair<std::string_view, std::string_view>> values,
                       Config& config = croton::config());
  ConfigScope(const ConfigScope&) = delete;
  ConfigScope& operator=(const ConfigScope&) = delete;
  ~ConfigScope();

 private:
  void put_back();
  Config& config_;
  std::vector<std::pair<std::size_t, Config::Slot>> old_;
};

/// The table of flags in Markdown: name, values, default, meaning.
CROTON_API std::string flags_markdown();
/// Every flag with its value, what set it, and its meaning, as text for a terminal.
CROTON_API std::string flags_listing(const Config& config = croton::config());

}  // namespace croton
