#include "croton/codegen/cuda_schedule.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "croton/codegen/cuda_lanes.h"

namespace croton {

namespace {

// A group that works on an index has so many neighbouring elements a thread, where there are enough; fewer
// where an element takes more instructions than a short body has.
constexpr std::int64_t elements_per_thread = 32, long_elements_per_thread = 8;
constexpr std::int64_t most_short_body = 64;
// Threads side by side on one row, so that what they access together fills lines of the cache.
constexpr std::int64_t least_group = 16;
// Threads that keep a multiprocessor busy.
constexpr std::int64_t threads_per_multiprocessor = 1024;
constexpr std::int64_t most_register_elements = 32;
constexpr std::int64_t most_array_bytes = 96 * 1024;
// Instructions of the elements side by side, up to which a thread works on two packs of them.
constexpr std::int64_t most_code_of_pack = 300;
// Vector loops no longer than this are not worth more than a thread.
constexpr std::int64_t longest_thread_loop = 4;
// A guess where the bounds of a loop are not constant.
constexpr std::int64_t usual_trip_count = 1024;

/// What decides how a phase is spread.
class PhaseScan {
 public:
  struct ArrayUse {
    std::set<const Statement*> loops;  // vector loops that use it; nullptr: used outside
    bool is_own_element = true;        // only at the index of the vector loop
  };

  PhaseScan(const Kernel& kernel, const Phase& phase) : k_(kernel) { scan(phase.body, nullptr); }

  /// The vector loops that are in no other.
  const std::vector<const Statement*>& loops() const { return loops_; }
  const std::map<std::int32_t, ArrayUse>& array_uses() const { return array_uses_; }
  /// Iterations of the longest vector loop, or elements of a transposed tile.
  std::int64_t longest() const { return longest_; }
  /// Threads that have enough elements each.
  std::int64_t roomy() const { return roomy_; }
  bool has_transpose() const { return has_transpose_; }
  bool asks_for_worker() const { return asks_for_worker_; }

  /// How often a thread waits for memory: loads side by side count once, those of loops once in some
  /// iterations, as many as are in flight together.
  double waits(std::int32_t block, int group) const {
    constexpr double in_flight = 8;
    if (block < 0) return 0;
    double sum = 0;
    bool has_load = false;
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(block)].statements) {
      has_load = has_load ||
                 (s.kind == Statement::Kind::compute && instruction(s.value).kind == Instruction::Kind::load);
      if (s.kind != Statement::Kind::loop) {
        sum += std::max(waits(s.body, group), waits(s.other, group));
        continue;
      }
      auto trips = static_cast<double>(trips_of(s));
      if (std::ranges::find(loops_, &s) != loops_.end()) trips /= group;
      const double inner = waits(s.body, group);
      sum += inner > 1 ? inner * std::max(trips, 1.0) : inner * std::max(trips / in_flight, 1.0);
    }
    return sum + (has_load ? 1 : 0);
  }

 private:
  const Instruction& instruction(std::int32_t id) const {
    return k_.instructions[static_cast<std::size_t>(id)];
  }
  const IndexNode& node(std::int32_t id) const { return k_.indices[static_cast<std::size_t>(id)]; }

  bool is_of_worker(std::int32_t id) const {
    if (id < 0) return false;
    const IndexNode& n = node(id);
    switch (n.op) {
      case IndexOp::worker:
        return true;
      case IndexOp::affine:
        return std::ranges::any_of(n.terms, [&](const auto& term) { return is_of_worker(term.first); });
      case IndexOp::variable:
      case IndexOp::value:
        return false;
      case IndexOp::select:
        return is_of_worker(n.operands[1]) || is_of_worker(n.operands[2]);
      default:
        return is_of_worker(n.operands[0]) || is_of_worker(n.operands[1]);
    }
  }

  void use_array(std::int32_t array, std::int32_t index, const Statement* loop) {
    ArrayUse& use = array_uses_[array];
    use.loops.insert(loop);
    const IndexNode& n = node(index);
    const bool is_variable = n.op == IndexOp::variable && loop != nullptr && n.operands[0] == loop->target;
    use.is_own_element = use.is_own_element && is_variable;
  }

  void scan(std::int32_t block, const Statement* vector_loop) {
    if (block < 0) return;
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(block)].statements) {
      if (is_of_worker(s.index) || is_of_worker(s.second_index) || is_of_worker(s.begin) ||
          is_of_worker(s.end)) {
        asks_for_worker_ = true;
      }
      if (s.kind == Statement::Kind::compute) {
        const Instruction& i = instruction(s.value);
        if (is_of_worker(i.index)) asks_for_worker_ = true;
        if (i.kind == Instruction::Kind::compare_index &&
            (is_of_worker(i.operands[0]) || is_of_worker(i.operands[1]))) {
          asks_for_worker_ = true;
        }
        if (i.kind == Instruction::Kind::load_array) use_array(i.target, i.index, vector_loop);
      }
      if (s.kind == Statement::Kind::store_array) use_array(s.target, s.index, vector_loop);
      if (s.kind == Statement::Kind::transpose) {
        longest_ = std::max(longest_, s.tile[0] * s.tile[1]);
        roomy_ = std::max(roomy_, (longest_ + elements_per_thread - 1) / elements_per_thread);
        has_transpose_ = true;
      }
      const bool is_outer_vector =
          s.kind == Statement::Kind::loop && s.mark.kind == LoopKind::vectorize && vector_loop == nullptr;
      if (is_outer_vector) {
        loops_.push_back(&s);
        const std::int64_t trips = trips_of(s);
        longest_ = std::max(longest_, trips);
        const std::int64_t elements =
            cuda_code_size(k_, s.body) > most_short_body ? long_elements_per_thread : elements_per_thread;
        roomy_ = std::max(roomy_, (trips + elements - 1) / elements);
      }
      scan(s.body, is_outer_vector ? &s : vector_loop);
      scan(s.other, vector_loop);
    }
  }

  /// end - begin where they move together; nothing otherwise.
  std::optional<std::int64_t> distance(std::int32_t begin, std::int32_t end) const {
    const IndexNode &from = node(begin), &to = node(end);
    if (to.op == IndexOp::min) {
      const auto first = distance(begin, to.operands[0]), second = distance(begin, to.operands[1]);
      return first && second ? std::min(*first, *second) : first ? first : second;
    }
    // What is no sum is the sum of itself.
    const auto sum = [](std::int32_t id, const IndexNode& n) {
      return n.op == IndexOp::affine ? n : IndexNode{.terms = {{id, 1}}};
    };
    const IndexNode a = sum(begin, from), b = sum(end, to);
    if (a.terms != b.terms) return std::nullopt;
    return b.constant - a.constant;
  }

  /// Iterations of a loop, at most or about.
  std::int64_t trips_of(const Statement& loop) const {
    if (const std::int64_t known = cuda_trip_count(k_, loop); known >= 0) return known;
    if (const auto together = distance(loop.begin, loop.end))
      return std::max<std::int64_t>((*together + loop.step - 1) / loop.step, 1);
    const std::int64_t last = node(loop.end).high, first = node(loop.begin).low;
    if (last == std::numeric_limits<std::int64_t>::max() || first == std::numeric_limits<std::int64_t>::min())
      return usual_trip_count;
    return std::max<std::int64_t>((last - first) / loop.step, 1);
  }

  const Kernel& k_;
  std::vector<const Statement*> loops_;
  std::map<std::int32_t, ArrayUse> array_uses_;
  std::int64_t longest_ = 0;
  std::int64_t roomy_ = 0;
  bool has_transpose_ = false;
  bool asks_for_worker_ = false;
};

class Scheduler {
 public:
  Scheduler(const Kernel& kernel, const Phase& phase, int multiprocessors)
      : k_(kernel),
        phase_(phase),
        index_(kernel),
        scan_(kernel, phase),
        many_threads_(threads_per_multiprocessor * multiprocessors) {
    s_.arrays.resize(k_.arrays.size());
    s_.one_after_other = scan_.asks_for_worker();
  }

  CudaSchedule schedule() {
    if (is_vectorized() && !s_.one_after_other) {
      flat();
    } else if (!groups()) {
      threads();
    }
    return std::move(s_);
  }

  /// For one block of so many threads.
  CudaSchedule schedule_in_block(int threads) {
    s_.block = threads;
    if (is_vectorized()) {
      each_by_one_thread(CudaSchedule::Mode::flat);
    } else if (!groups_in_block()) {
      each_by_one_thread(CudaSchedule::Mode::thread);
    }
    return std::move(s_);
  }

  const PhaseScan& scan() const { return scan_; }

 private:
  bool is_vectorized() const { return phase_.mark.kind == LoopKind::vectorize; }

  void flat() {
    each_by_one_thread(CudaSchedule::Mode::flat);
    const std::int64_t n = phase_.extent;
    // Few elements: more threads are worth more than wide accesses.
    if (n >= 2 * many_threads_) s_.lanes = cuda_lane_count(k_, s_.arrays, phase_.body, phase_.variable, n);
    const std::int64_t code_of_pack = cuda_code_size(k_, phase_.body) * s_.lanes;
    s_.packs = s_.lanes > 1 && n >= 16 * many_threads_ && code_of_pack <= most_code_of_pack ? 2 : 1;
    s_.block = n >= many_threads_ ? 256 : 8 * n >= many_threads_ ? 128 : 64;
  }

  void threads() {
    each_by_one_thread(CudaSchedule::Mode::thread);
    s_.block = s_.one_after_other ? 1 : phase_.extent >= many_threads_ ? 128 : 32;
  }

  void each_by_one_thread(CudaSchedule::Mode mode) {
    s_.mode = mode;
    s_.group = 1;
    s_.array_bytes = 0;
    for (const auto& [id, use] : scan_.array_uses()) {
      s_.arrays[static_cast<std::size_t>(id)].place = CudaArray::Place::thread;
    }
  }

  bool groups() {
    if (is_vectorized() || (scan_.loops().empty() && !scan_.has_transpose())) return false;
    if (scan_.longest() <= longest_thread_loop) return false;
    s_.mode = CudaSchedule::Mode::group;
    // Threads a group: by the longest loop, more where there are few indices.
    const std::int64_t indices = s_.one_after_other ? 1 : phase_.extent;
    const std::int64_t crowded =
        std::min(scan_.longest(), many_threads_ / std::max<std::int64_t>(indices, 1));
    const std::int64_t least = std::min<std::int64_t>(scan_.longest() / 4, least_group);
    const std::int64_t wanted = std::clamp<std::int64_t>(std::max({scan_.roomy(), crowded, least}), 1, 1024);
    s_.group = 1;
    while (s_.group < wanted) s_.group *= 2;
    if (s_.group == 1) return false;
    place_arrays();
    if (s_.array_bytes > most_array_bytes) return false;
    choose_loop_lanes();
    s_.block = s_.group;
    while (s_.group <= 32 && s_.block < 128 && s_.array_bytes * (2 * s_.block / s_.group) <= 32 * 1024 &&
           s_.block < phase_.extent * s_.group && !s_.one_after_other) {
      s_.block *= 2;
    }
    s_.block = std::max(s_.block, s_.one_after_other ? 1 : 32);
    return true;
  }

  bool groups_in_block() {
    constexpr int warp = 32;
    constexpr std::int64_t most_bytes = 32 * 1024;
    if (scan_.loops().empty() || scan_.longest() <= longest_thread_loop) return false;
    const std::int64_t wanted =
        std::min(scan_.longest(), s_.block / std::max<std::int64_t>(phase_.extent, 1));
    s_.group = 1;
    while (2 * s_.group <= wanted) s_.group *= 2;
    // The whole block, whose barriers everybody meets, or part of a warp.
    if (s_.group > warp) s_.group = phase_.extent <= 2 && scan_.longest() >= s_.block ? s_.block : warp;
    if (s_.group == 1) return false;
    s_.mode = CudaSchedule::Mode::group;
    place_arrays();
    if (s_.array_bytes * s_.groups_per_block() > most_bytes) return false;
    for (const Statement* loop : scan_.loops()) s_.loop_lanes[loop->body] = 1;
    return true;
  }

  void place_arrays() {
    // In registers where all loops that use it run over the same constant bounds.
    for (const auto& [id, use] : scan_.array_uses()) {
      CudaArray& array = s_.arrays[static_cast<std::size_t>(id)];
      const ArrayInfo& info = k_.arrays[static_cast<std::size_t>(id)];
      if (use.loops.size() == 1 && *use.loops.begin() != nullptr) {
        array.place = CudaArray::Place::thread;
        continue;
      }
      const auto same_bounds = [&](const Statement* loop) {
        return loop != nullptr && cuda_trip_count(k_, *loop) == info.count &&
               k_.indices[static_cast<std::size_t>(loop->begin)].constant == 0 && loop->step == 1;
      };
      const std::int64_t share = (info.count + s_.group - 1) / s_.group;
      if (use.is_own_element && share <= most_register_elements &&
          std::ranges::all_of(use.loops, same_bounds)) {
        array.place = CudaArray::Place::registers;
        array.slots = static_cast<int>(share);
        continue;
      }
      array.place = CudaArray::Place::shared;
      array.offset = s_.array_bytes;
      s_.array_bytes += (info.count * static_cast<std::int64_t>(size_of(info.dtype)) + 15) / 16 * 16;
    }
  }

  void choose_loop_lanes() {
    for (const Statement* loop : scan_.loops()) {
      const std::int64_t trips = cuda_trip_count(k_, *loop);
      int lanes = 1;
      if (loop->step == 1 && (trips < 0 || trips >= s_.group)) {
        lanes =
            cuda_lane_count(k_, s_.arrays, loop->body, loop->target, trips < 0 ? usual_trip_count : trips);
        CudaLanes begin;
        begin.varies.assign(k_.instructions.size(), false);
        const std::int64_t multiple = index_.multiple(begin, loop->begin);
        while (lanes > 1 && (multiple % lanes != 0 || (trips >= 0 && trips % lanes != 0) ||
                             (trips >= 0 && trips / lanes * 2 < s_.group))) {
          lanes /= 2;
        }
      }
      s_.loop_lanes[loop->body] = lanes;
    }
    // Loops that share an array in registers share its elements out in the same way.
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& [id, use] : scan_.array_uses()) {
        CudaArray& array = s_.arrays[static_cast<std::size_t>(id)];
        if (array.place != CudaArray::Place::registers) continue;
        int least = 16;
        for (const Statement* loop : use.loops) least = std::min(least, s_.loop_lanes[loop->body]);
        for (const Statement* loop : use.loops) {
          changed = changed || s_.loop_lanes[loop->body] != least;
          s_.loop_lanes[loop->body] = least;
        }
        const std::int64_t at_once = std::int64_t{s_.group} * least;
        array.slots =
            static_cast<int>((k_.arrays[static_cast<std::size_t>(id)].count + at_once - 1) / at_once) * least;
      }
    }
  }

  const Kernel& k_;
  const Phase& phase_;
  CudaIndex index_;
  const PhaseScan scan_;
  CudaSchedule s_;
  std::int64_t many_threads_;
};

}  // namespace

CudaSchedule cuda_schedule_in_block(const Kernel& kernel, const Phase& phase, int threads) {
  return Scheduler(kernel, phase, 1).schedule_in_block(threads);
}

bool is_short_in_block(const Kernel& kernel, const Phase& phase, int threads) {
  // Microseconds, roughly: of a way to memory and back, of a thread for what takes a core of a CPU a
  // nanosecond, and what a launch of its own adds to a phase that is then done in one round.
  constexpr double latency = 0.35, thread = 0.02, launch = 1.5;
  constexpr double cpu_lanes = 8;  // that the cost of a vector loop is shared by
  if (phase.extent > std::int64_t{threads} * 8) return false;
  Scheduler scheduler(kernel, phase, 1);
  const CudaSchedule s = scheduler.schedule_in_block(threads);
  if (s.one_after_other || scheduler.scan().has_transpose()) return false;
  const std::int64_t at_once = s.groups_per_block();
  const auto rounds = static_cast<double>((phase.extent + at_once - 1) / at_once);
  double cost = estimated_cost(kernel, phase);
  if (!scheduler.scan().loops().empty()) cost *= cpu_lanes / s.group;
  return (rounds - 1) * latency * scheduler.scan().waits(phase.body, s.group) + rounds * thread * cost <=
         launch;
}

CudaSchedule cuda_schedule(const Kernel& kernel, const Phase& phase, int multiprocessors) {
  return Scheduler(kernel, phase, multiprocessors).schedule();
}

std::int64_t cuda_trip_count(const Kernel& kernel, const Statement& loop) {
  const auto constant = [&](std::int32_t id) -> const IndexNode* {
    const IndexNode& n = kernel.indices[static_cast<std::size_t>(id)];
    return n.op == IndexOp::affine && n.terms.empty() ? &n : nullptr;
  };
  const IndexNode *begin = constant(loop.begin), *end = constant(loop.end);
  if (begin == nullptr || end == nullptr) return -1;
  return std::max<std::int64_t>((end->constant - begin->constant + loop.step - 1) / loop.step, 0);
}

}  // namespace croton
