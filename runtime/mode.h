#pragma once

#include <string_view>

#include "croton/graph/export.h"
#include "croton/graph/flags.h"
#include "croton/optimizer/query.h"

namespace croton {

/// How a function is compiled: a level of effort, and the names or tags of rewrites and implementations that
/// are added, left out or demanded on top of what the flags say. Immutable; each call gives a changed copy.
///
///     function({x}, y, {.mode = default_mode().including("conv_fft")});
class CROTON_API Mode {
 public:
  /// The level, with what the flags optimizer_including, …_excluding and …_requiring say at this moment.
  Mode(ModeName name);
  /// "FAST_RUN", "FAST_COMPILE" or "None". FlagError, with the nearest names, for another text.
  Mode(std::string_view name);
  Mode(const char* name) : Mode(std::string_view(name)) {}

  /// Several names or tags have ':' between. FlagError, with the nearest ones, for an unknown one.
  Mode including(std::string_view names) const { return Mode(query_.including(names)); }
  /// Beats including.
  Mode excluding(std::string_view names) const { return Mode(query_.excluding(names)); }
  /// A rewrite must have one of these names or tags to run.
  Mode requiring(std::string_view names) const { return Mode(query_.requiring(names)); }

  ModeName name() const { return query_.mode(); }
  const Query& query() const { return query_; }

 private:
  explicit Mode(Query query) : query_(std::move(query)) {}
  Query query_;
};

/// The mode that the flag `mode` names.
CROTON_API Mode default_mode();

}  // namespace croton
