#include "croton/optimizer/query.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/optimizer/phases.h"

namespace croton {

namespace {

bool holds(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

bool meets(const std::vector<std::string>& list, const Selectable& what) {
  return holds(list, what.name) ||
         std::ranges::any_of(what.tags, [&](const std::string& tag) { return holds(list, tag); });
}

}  // namespace

Query Query::from_flags(ModeName mode, const Config& config) {
  Query query(mode);
  if (config.optimizer() == OptimizerName::fast_compile) query.is_thrifty_ = true;
  for (const std::string& name : config.optimizer_including()) {
    query.add(query.included_, name, "optimizer_including");
  }
  for (const std::string& name : config.optimizer_excluding()) {
    query.add(query.excluded_, name, "optimizer_excluding");
  }
  for (const std::string& name : config.optimizer_requiring()) {
    query.add(query.required_, name, "optimizer_requiring");
  }
  if (!config.local_elemwise_fusion()) query.add(query.excluded_, "fusion", "tensor.local_elemwise_fusion");
  return query;
}

void Query::add(std::vector<std::string>& list, std::string_view names, std::string_view what) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(':'), names.size());
    const std::string_view name = names.substr(0, end);
    names.remove_prefix(std::min(end + 1, names.size()));
    if (name.empty()) continue;
    const std::vector<std::string_view>& known = rewrite_names();
    if (std::ranges::find(known, name) == known.end()) {
      throw FlagError(fmt::format("no rewrite or implementation has the name or tag '{}' ({}){}", name, what,
                                  did_you_mean(name, known)));
    }
    if (!holds(list, name)) list.emplace_back(name);
  }
}

Query Query::including(std::string_view names) const {
  Query query = *this;
  query.add(query.included_, names, "including");
  return query;
}

Query Query::excluding(std::string_view names) const {
  Query query = *this;
  query.add(query.excluded_, names, "excluding");
  return query;
}

Query Query::excluding(std::string_view names, std::string reason) const {
  Query query = excluding(names);
  // What a flag has excluded before stays that flag's business.
  for (std::size_t i = excluded_.size(); i < query.excluded_.size(); ++i)
    query.unusable_.emplace_back(query.excluded_[i], reason);
  return query;
}

Query Query::requiring(std::string_view names) const {
  Query query = *this;
  query.add(query.required_, names, "requiring");
  return query;
}

bool Query::selects(const Selectable& what) const {
  if (meets(excluded_, what)) return false;
  if (!required_.empty() && !meets(required_, what)) return false;
  if (meets(included_, what)) return true;
  if (what.opt_in || mode_ == ModeName::None) return false;
  return !(what.costly && is_thrifty_);
}

bool Query::includes(std::string_view name) const { return holds(included_, name); }
bool Query::excludes(std::string_view name) const { return holds(excluded_, name); }

std::string Query::why_excluded(std::string_view name) const {
  const auto found = std::ranges::find_if(unusable_, [&](const auto& entry) { return entry.first == name; });
  return found != unusable_.end() ? found->second : fmt::format("excluded by optimizer_excluding={}", name);
}

}  // namespace croton
