#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "croton/graph/flags.h"

namespace croton {

/// Something that a query may select: a rewrite rule, a pass, an implementation of an op.
struct Selectable {
  std::string_view name;
  std::span<const std::string> tags;
  /// Only when included by name or tag.
  bool opt_in = false;
  /// Not in FAST_COMPILE, nor with optimizer=fast_compile.
  bool costly = false;
};

/// Which rewrites and implementations run: what a mode and the flag optimizer select, more that is included,
/// less what is excluded. Excluding beats including, in whatever order they were said. Names and tags are
/// checked at once: an unknown one is a FlagError that offers the nearest.
class CROTON_API Query {
 public:
  /// Everything that FAST_RUN selects.
  Query() = default;
  explicit Query(ModeName mode) : mode_(mode), is_thrifty_(mode == ModeName::FAST_COMPILE) {}
  /// The mode with what the flags optimizer, optimizer_including, optimizer_excluding, optimizer_requiring
  /// and tensor.local_elemwise_fusion say at this moment.
  static Query from_flags(ModeName mode, const Config& config = croton::config());
  /// As above, with the flag mode.
  static Query from_flags(const Config& config = croton::config()) {
    return from_flags(config.mode(), config);
  }

  /// One name or tag, or several with ':' between, as in the flags.
  Query including(std::string_view names) const;
  Query excluding(std::string_view names) const;
  /// As above, for what cannot be used, with the reason that is told instead of a flag's name.
  Query excluding(std::string_view names, std::string reason) const;
  /// A rewrite must have one of the required names or tags to run.
  Query requiring(std::string_view names) const;

  bool selects(const Selectable& what) const;
  /// The modes that check select what FAST_RUN does.
  ModeName mode() const { return mode_; }
  /// What is costly is left out: FAST_COMPILE, or optimizer=fast_compile.
  bool is_thrifty() const { return is_thrifty_; }
  /// In the order in which they were said.
  const std::vector<std::string>& included() const { return included_; }
  const std::vector<std::string>& excluded() const { return excluded_; }
  bool includes(std::string_view name) const;
  bool excludes(std::string_view name) const;
  /// "excluded by optimizer_excluding=conv_fft", or why what was excluded cannot be used.
  std::string why_excluded(std::string_view name) const;

  friend bool operator==(const Query&, const Query&) = default;

 private:
  void add(std::vector<std::string>& list, std::string_view names, std::string_view what);
  ModeName mode_ = ModeName::FAST_RUN;
  bool is_thrifty_ = false;
  std::vector<std::string> included_;
  std::vector<std::string> excluded_;
  std::vector<std::pair<std::string, std::string>> unusable_;  // names and reasons
  std::vector<std::string> required_;
};

}  // namespace croton
