#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/flags.h"

namespace croton {

/// How a function is compiled: a level of effort, and the names or tags of rewrites and implementations that
/// are added, left out or demanded on top of what the flags say. Immutable; each call gives a changed copy.
///
///     function({x}, y, {.mode = default_mode().including("conv_fft")});
class CROTON_API Mode {
 public:
  /// The level; the lists start with those of the flags optimizer_including, …_excluding and …_requiring.
  Mode(ModeName name);
  /// "FAST_RUN", "FAST_COMPILE" or "None". FlagError, with the nearest names, for another text.
  Mode(std::string_view name);
  Mode(const char* name) : Mode(std::string_view(name)) {}

  /// Several names or tags have ':' between.
  Mode including(std::string_view tags) const;
  /// Beats including.
  Mode excluding(std::string_view tags) const;
  /// A rewrite must have one of these tags to run.
  Mode requiring(std::string_view tags) const;

  ModeName name() const { return name_; }
  const std::vector<std::string>& included() const { return included_; }
  const std::vector<std::string>& excluded() const { return excluded_; }
  const std::vector<std::string>& required() const { return required_; }

 private:
  ModeName name_;
  std::vector<std::string> included_;
  std::vector<std::string> excluded_;
  std::vector<std::string> required_;
};

/// The mode that the flag `mode` names.
CROTON_API Mode default_mode();

}  // namespace croton
