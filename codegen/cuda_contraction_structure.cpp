#include "croton/codegen/cuda_contraction_structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "croton/codegen/cuda_contraction_geometry.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

using Part = ContractionPart;
using Loops = LoopExtents;
using Cut = ContractionCut;
using Lanes = CudaContraction::Lanes;

constexpr std::array<const char*, 7> arithmetic_types = {"", "", "Tf32", "Tf32x3", "Bf16", "Fp16", "Fp16x3"};

std::int64_t stride_of(const Loops& strides, std::size_t loop) {
  return loop < strides.size() ? strides[loop] : 0;
}

class StructureWriter {
 public:
  StructureWriter(const CudaContraction& c, std::string name)
      : c_(c), has_chunks_(has_channel_chunks(c)), name_(std::move(name)) {
    for (const Part& p : c.parts) cuts_.push_back(cut_of(c, p));
  }

  ContractionStructure write() {
    gathered_bounds_ = needed_bounds(&Part::gathered, &Part::rows);
    packed_bounds_ = needed_bounds(&Part::packed, &Part::columns);
    result_bounds_ = needed_bounds(&Part::result, &Part::rows, &Part::columns);
    types();
    tile();
    fetching();
    counts();
    conversions();
    number("rows", [](const Part&, const Cut& cut) { return cut.rows; });
    number("depth", [](const Part&, const Cut& cut) { return cut.depth; });
    number("row_tiles", [](const Part&, const Cut& cut) { return cut.row_tiles; });
    number("depth_tiles", [](const Part&, const Cut& cut) { return cut.depth_tiles; });
    std::int64_t first = c_.is_scaled() ? scale_words : 0;
    numbers("packed_first", [&] {
      std::vector<std::int64_t> firsts;
      for (const Cut& cut : cuts_) {
        firsts.push_back(first);
        first += cut.packed_words;
      }
      return firsts;
    }());
    number("gathered_batch", [](const Part& q, const Cut&) { return q.gathered.place.batch; });
    number("packed_batch", [](const Part& q, const Cut&) { return q.packed.place.batch; });
    number("result_batch", [](const Part& q, const Cut&) { return q.result.place.batch; });
    number("taps", [](const Part& q, const Cut& cut) { return cut.depth == 0 ? 1 : cut.depth / q.depth[0]; });
    number("channels", [](const Part& q, const Cut&) { return q.depth[0]; });
    number("channel_stride", [](const Part& q, const Cut&) { return stride_of(q.gathered.place.depth, 0); });
    number("packed_channel_stride",
           [](const Part& q, const Cut&) { return stride_of(q.packed.place.depth, 0); });
    places("gathered_row", &Part::gathered, &Part::rows, &AffineIndex::rows, gathered_bounds_, 0, true);
    places("gathered_depth", &Part::gathered, &Part::depth, &AffineIndex::depth, gathered_bounds_, 0, false);
    places("gathered_tap", &Part::gathered, &Part::depth, &AffineIndex::depth, gathered_bounds_, 1, false);
    within("inside", &Part::gathered, gathered_bounds_);
    places("packed_column", &Part::packed, &Part::columns, &AffineIndex::columns, packed_bounds_, 0, true);
    places("packed_depth", &Part::packed, &Part::depth, &AffineIndex::depth, packed_bounds_, 0, false);
    places("packed_tap", &Part::packed, &Part::depth, &AffineIndex::depth, packed_bounds_, 1, false);
    within("is_packed", &Part::packed, packed_bounds_);
    places("result_row", &Part::result, &Part::rows, &AffineIndex::rows, result_bounds_, 0, true);
    places("result_column", &Part::result, &Part::columns, &AffineIndex::columns, result_bounds_, 0, false);
    within("is_stored", &Part::result, result_bounds_);
    if (c_.tile.patch > 0) patch();
    if (c_.folds()) body_ += fold_declarations(c_);
    if (c_.fold.is_in_blocks()) body_ += fold_block_declarations(c_);
    choice_of_part();
    ContractionStructure structure{.text = parts() + counter_memory(), .shared_bytes = shared_bytes()};
    structure.text += fmt::format("struct {0}_cut {{\n  typedef {0}_part Part;\n{1}}};\n", name_, body_);
    for (const Cut& cut : cuts_) {
      structure.blocks += c_.fold.is_in_blocks() ? fold_blocks(c_) : blocks_of(cut);
      structure.packing_blocks += quotient_up(cut.packed_threads, threads_that_copy);
    }
    return structure;
  }

 private:
  using Bounds = std::vector<std::size_t>;
  using Operand = ContractionOperand Part::*;

  template <class... T>
  void line(fmt::format_string<T...> format, T&&... arguments) {
    body_ += "  " + fmt::format(format, std::forward<T>(arguments)...) + "\n";
  }

  /// A literal, or where parts differ the field that has it.
  std::string term(std::vector<std::int64_t> values) {
    for (const std::int64_t v : values) {
      if (v > std::numeric_limits<std::int32_t>::max() || v < std::numeric_limits<std::int32_t>::min())
        throw InternalError("a contraction's number does not fit 32 bits");
    }
    if (std::ranges::all_of(values, [&](std::int64_t v) { return v == values.front(); }))
      return fmt::to_string(values.front());
    auto known = std::ranges::find(fields_, values);
    if (known == fields_.end()) known = fields_.insert(fields_.end(), std::move(values));
    return fmt::format("p.x[{}]", known - fields_.begin());
  }
  template <class Get>
  std::string term_of(const Get& get) {
    std::vector<std::int64_t> values;
    for (std::size_t i = 0; i < c_.parts.size(); ++i) values.push_back(get(c_.parts[i], cuts_[i]));
    return term(std::move(values));
  }
  void numbers(std::string_view name, const std::vector<std::int64_t>& values) {
    line("static DEVICE i32 {}(const Part& p) {{ return {}; }}", name, term(values));
  }
  template <class Get>
  void number(std::string_view name, const Get& get) {
    line("static DEVICE i32 {}(const Part& p) {{ return {}; }}", name, term_of(get));
  }

  /// Those that some index of some part violates.
  template <class... OfLoops>
  Bounds needed_bounds(Operand operand, OfLoops... loops) const {
    Bounds needed;
    for (std::size_t b = 0; b < (c_.parts.front().*operand).bounds.size(); ++b) {
      const bool may_fail = std::ranges::any_of(c_.parts, [&](const Part& p) {
        const ContractionOperand::Bound& bound = (p.*operand).bounds[b];
        std::int64_t least = bound.at.base, most = bound.at.base;
        const auto add = [&](const Loops& extents, const Loops& strides) {
          for (std::size_t i = 0; i < extents.size(); ++i) {
            const std::int64_t reach = stride_of(strides, i) * (extents[i] - 1);
            (reach < 0 ? least : most) += extents[i] > 0 ? reach : 0;
          }
        };
        (add(p.*loops, loops == &Part::columns ? bound.at.columns : bound.at.rows), ...);
        if (operand != &Part::result) add(p.depth, bound.at.depth);
        return least < 0 || most >= bound.extent;
      });
      if (may_fail) needed.push_back(b);
    }
    return needed;
  }

  /// Index i of some loops, the last the fastest, as a place and as what bounds look at.
  void places(std::string_view name, Operand operand, Loops Part::* loops, Loops AffineIndex::* strides,
              const Bounds& bounds, std::size_t first_loop, bool with_base) {
    std::string text = fmt::format("static DEVICE Spot<{}> {}(const Part& p, i32 i) {{\n    Spot<{}> s;\n",
                                   bounds.size(), name, bounds.size());
    const auto base = [&](const auto& get) { return with_base ? term_of(get) : std::string("0"); };
    text += fmt::format("    s.offset = {};\n",
                        base([&](const Part& p, const Cut&) { return (p.*operand).place.base; }));
    for (std::size_t k = 0; k < bounds.size(); ++k) {
      text += fmt::format("    s.at[{}] = {};\n", k, base([&](const Part& p, const Cut&) {
                            return (p.*operand).bounds[bounds[k]].at.base;
                          }));
    }
    std::vector<std::size_t> open;  // loops of more than one index
    const std::size_t count = (c_.parts.front().*loops).size();
    for (std::size_t l = first_loop; l < count; ++l) {
      if (std::ranges::any_of(c_.parts, [&](const Part& p) { return (p.*loops)[l] > 1; })) open.push_back(l);
    }
    std::string rest = "i";
    for (std::size_t n = open.size(); n-- > 0;) {
      const std::size_t l = open[n];
      std::string index = rest;
      if (n > 0) {
        // Never 0: a part without work has no index.
        const std::string extent =
            term_of([&](const Part& p, const Cut&) { return std::max<std::int64_t>(1, (p.*loops)[l]); });
        text += fmt::format("    const i32 r{0} = (i32)((u32){1} / (u32){2}), i{0} = {1} - r{0} * {2};\n", l,
                            rest, extent);
        index = fmt::format("i{}", l);
        rest = fmt::format("r{}", l);
      }
      const auto add = [&](const std::string& to, const auto& stride) {
        const std::string s = term_of(stride);
        if (s != "0") text += fmt::format("    {} += {} * {};\n", to, index, s);
      };
      add("s.offset", [&](const Part& p, const Cut&) { return stride_of((p.*operand).place.*strides, l); });
      for (std::size_t k = 0; k < bounds.size(); ++k) {
        add(fmt::format("s.at[{}]", k), [&](const Part& p, const Cut&) {
          return stride_of((p.*operand).bounds[bounds[k]].at.*strides, l);
        });
      }
    }
    line("{}    return s;\n  }}", text);
  }

  void within(std::string_view name, Operand operand, const Bounds& bounds) {
    std::string text;
    for (std::size_t k = 0; k < bounds.size(); ++k) {
      text += fmt::format(
          "{}(u32)(a.at[{}] + b.at[{}]) < (u32){}", k == 0 ? "" : " && ", k, k,
          term_of([&](const Part& p, const Cut&) { return (p.*operand).bounds[bounds[k]].extent; }));
    }
    line("static DEVICE bool {0}(const Part& p, const Spot<{1}>& a, const Spot<{1}>& b) {{ return {2}; }}",
         name, bounds.size(), text.empty() ? "true" : text);
  }

  /// What the prelude's Patch takes.
  void patch() {
    const PatchCut cut = patch_cut(c_);
    const Bounds bounds = needed_bounds(&Part::source, &Part::padded_extents);
    constant("patch_positions", c_.tile.patch);
    constant("patch_pitch", cut.pitch);
    constant("patch_channels", cut.channels);
    constant("patch_bytes", cut.bytes());
    constant("patch_bounds", static_cast<std::int64_t>(bounds.size()));
    number("padded_count", [](const Part& q, const Cut&) { return index_count(q.padded_extents); });
    number("padded_base", [](const Part& q, const Cut&) { return q.padded.place.base; });
    places("padded_row", &Part::padded, &Part::rows, &AffineIndex::rows, {}, 0, false);
    places("padded_tap", &Part::padded, &Part::depth, &AffineIndex::depth, {}, 1, false);
    places("padded_source", &Part::source, &Part::padded_extents, &AffineIndex::rows, bounds, 0, true);
    within("has_source", &Part::source, bounds);
  }

  /// Elements of an operand that are fetched at once, whose `lines` are rows or columns: neighbours that all
  /// exist and lie at a multiple of 16 bytes.
  int width_of(Operand operand, Lanes lanes, const Bounds& bounds, Loops Part::* lines,
               Loops AffineIndex::* line_strides) const {
    const bool by_lines = lanes == Lanes::rows;
    if (c_.dtype != DType::float32 || !bounds.empty()) return 1;
    if (!by_lines && !c_.is_tensor_core()) return 1;
    const auto is_aligned = [&](const Part& p) {
      const Loops& loops = by_lines ? p.*lines : p.depth;
      const AffineIndex& at = (p.*operand).place;
      const Loops& along = by_lines ? at.*line_strides : at.depth;
      const Loops& across = by_lines ? at.depth : at.*line_strides;
      const std::size_t last = loops.size() - 1;
      if (stride_of(along, last) != 1 || loops[last] % 4 != 0 || at.base % 4 != 0 || at.batch % 4 != 0)
        return false;
      for (std::size_t l = 0; l < last; ++l) {
        if (stride_of(along, l) % 4 != 0) return false;
      }
      return std::ranges::all_of(across, [](std::int64_t s) { return s % 4 == 0; });
    };
    return std::ranges::all_of(c_.parts, is_aligned) ? 4 : 1;
  }

  void constant(std::string_view name, std::int64_t number) {
    line("static constexpr i32 {} = {};", name, number);
  }
  void flag(std::string_view name, bool is_set) { line("static constexpr bool {} = {};", name, is_set); }

  bool is_half() const { return size_of(c_.dtype) == 2; }

  void types() {
    const ContractionTypes types(c_);
    line("typedef {} Element;", types.element);
    line("typedef {} Value;", types.value);
    line("typedef {} Result;", types.result);
    if (c_.is_tensor_core()) {
      line("typedef {} Arithmetic;", arithmetic_types[static_cast<std::size_t>(c_.arithmetic)]);
    } else {
      line("typedef void Arithmetic;");
    }
  }

  void tile() {
    const ContractionTile& t = c_.tile;
    flag("is_tensor_core", c_.is_tensor_core());
    flag("is_staged", is_half());
    flag("is_scaled", c_.is_scaled());
    flag("adds_up_tiles", adds_up_tiles(c_));
    flag("by_groups", t.by_groups);
    flag("has_patch", t.patch > 0);
    constant("warps_rows", t.warps_rows);
    constant("row_units", t.row_units);
    constant("column_units", t.column_units);
    constant("threads", t.threads());
    constant("tile_rows", t.rows());
    constant("tile_columns", t.columns());
    constant("tile_depth", t.depth);
    constant("stages", is_half() ? 2 : t.stages);
    constant("splits", c_.splits);
    constant("batch", c_.batch);
  }

  /// How operands are fetched, and what needs no looking at.
  void fetching() {
    const ContractionTile& t = c_.tile;
    flag("lanes_are_rows", c_.lanes == Lanes::rows);
    flag("has_chunks", has_chunks_);
    // Copies among products hide each other, but where the places of copies are looked up.
    flag("fetches_always", has_chunks_ || c_.lanes == Lanes::depth);
    const auto all = [&](const auto& holds) {
      for (std::size_t i = 0; i < c_.parts.size(); ++i) {
        if (!holds(c_.parts[i], cuts_[i])) return false;
      }
      return true;
    };
    flag("has_full_chunks", all([&](const Part& p, const Cut& cut) {
           return (has_chunks_ ? p.depth[0] : cut.depth) % t.depth == 0;
         }));
    flag("has_full_rows", all([&](const Part&, const Cut& cut) { return cut.rows % t.rows() == 0; }));
    flag("has_masks", has_chunks_ && !gathered_bounds_.empty() && all([](const Part& p, const Cut& cut) {
                        return p.depth[0] == 0 || cut.depth / p.depth[0] <= most_masked_taps;
                      }));
    constant("width", width_of(&Part::gathered, c_.lanes, gathered_bounds_, &Part::rows, &AffineIndex::rows));
    flag("is_direct", c_.is_direct);
    if (c_.is_direct) {
      flag("other_lanes_are_columns", c_.other_lanes == Lanes::rows);
      flag("has_full_depth", cuts_.front().depth % t.depth == 0);
      flag("has_full_columns", cuts_.front().columns % t.columns() == 0);
      constant("other_width", width_of(&Part::packed, c_.other_lanes, packed_bounds_, &Part::columns,
                                       &AffineIndex::columns));
      constant("addend_row", c_.finish.addend_row);
      constant("addend_column", c_.finish.addend_column);
    }
  }

  void counts() {
    const ContractionTile& t = c_.tile;
    constant("bounds", static_cast<std::int64_t>(gathered_bounds_.size()));
    constant("packed_bounds", static_cast<std::int64_t>(packed_bounds_.size()));
    constant("result_bounds", static_cast<std::int64_t>(result_bounds_.size()));
    const std::int64_t columns = cuts_.front().columns;
    constant("columns", columns);
    constant("packed_columns", up_to_multiple(columns, t.columns()));
    constant("column_tiles", quotient_up(columns, t.columns()));
    std::int64_t most_depth = 0;
    for (const Cut& cut : cuts_) most_depth = std::max(most_depth, cut.depth);
    constant("most_depth", has_chunks_ || c_.lanes == Lanes::depth ? 0 : most_depth);
    constant("gathered_count", c_.gathered_count);
    constant("packed_count", c_.packed_count);
    constant("result_count", c_.result_count);
    if (c_.is_scaled()) constant("scale_blocks", blocks_that_scale);
    if (counters() > 0) line("static DEVICE u32& arrived(u32 i) {{ return {}_arrived[i]; }}", name_);
  }

  void conversions() {
    const char* to_value = c_.dtype == DType::float16    ? "float_of_half(x)"
                           : c_.dtype == DType::bfloat16 ? "float_of_bfloat(x)"
                                                         : "x";
    const char* to_element = c_.dtype == DType::float16    ? "half_of_float(x)"
                             : c_.dtype == DType::bfloat16 ? "bfloat_of_float(x)"
                                                           : "x";
    line("static DEVICE Value value_of(Element x) {{ return {}; }}", to_value);
    line("static DEVICE Element element_of(Value x) {{ return {}; }}", to_element);
    line("static DEVICE Result result_of(Value x) {{ return {}; }}", c_.has_partial() ? "x" : to_element);
  }

  std::int64_t tiles_of(const Cut& cut) const {
    return quotient_up(cut.columns, c_.tile.columns()) * cut.row_tiles * c_.batch;
  }
  std::int64_t blocks_of(const Cut& cut) const { return tiles_of(cut) * c_.splits; }

  /// Of blocks that have ended.
  std::int64_t counters() const {
    if (c_.is_direct && c_.splits > 1) return tiles_of(cuts_.front());
    return c_.is_scaled() ? 1 : 0;
  }

  /// The part of a block (or of a thread that packs), whose number becomes the one in its part.
  void choice_of_part() {
    const auto choose = [&](std::string_view name, const auto& count) {
      std::string text = fmt::format("static DEVICE Part {}(u32& i) {{\n", name);
      if (c_.parts.size() == 1) {
        line("{}    return Part();\n  }}", text);
        return;
      }
      text += "    int part = 0;\n";
      for (std::size_t k = 0; k + 1 < cuts_.size(); ++k) {
        text += fmt::format("    if (part == {0} && i >= {1}u) {{ i -= {1}u; part = {2}; }}\n", k,
                            count(cuts_[k]), k + 1);
      }
      line("{}    return {}_parts[part];\n  }}", text, name_);
    };
    choose("part_of", [&](const Cut& cut) { return blocks_of(cut); });
    choose("packed_part_of",
           [&](const Cut& cut) { return up_to_multiple(cut.packed_threads, threads_that_copy); });
    line("static DEVICE bool is_in_part(const Part& p, u32 i) {{ return i < (u32){}; }}",
         term_of([](const Part&, const Cut& cut) { return cut.packed_threads; }));
  }

  /// The numbers of the parts, where there are several.
  std::string parts() const {
    std::string text = fmt::format("struct {}_part {{", name_);
    if (!fields_.empty()) text += fmt::format(" i32 x[{}]; ", fields_.size());
    text += "};\n";
    if (c_.parts.size() == 1) return text;
    text += fmt::format("__constant__ {0}_part {0}_parts[] = {{", name_);
    for (std::size_t i = 0; i < c_.parts.size(); ++i) {
      text += i == 0 ? "{" : ", {";
      if (!fields_.empty()) text += "{";
      for (std::size_t f = 0; f < fields_.size(); ++f)
        text += fmt::format("{}{}", f == 0 ? "" : ", ", fields_[f][i]);
      text += fields_.empty() ? "}" : "}}";
    }
    return text + "};\n";
  }

  std::string counter_memory() const {
    if (counters() == 0) return {};
    return fmt::format("__device__ u32 {}_arrived[{}];\n", name_, counters());
  }

  /// The tiles, and the tables of places behind them.
  std::uint32_t shared_bytes() const {
    const ContractionTile& t = c_.tile;
    if (c_.fold.is_in_blocks()) return static_cast<std::uint32_t>(fold_block_bytes(c_));
    const bool by_rows = c_.lanes == Lanes::rows;
    std::int64_t depths = 0;  // in a table
    for (const Cut& cut : cuts_) {
      if (by_rows && !has_chunks_) depths = std::max(depths, cut.depth_tiles * t.depth);
    }
    if (t.patch > 0)
      return static_cast<std::uint32_t>(bytes_of_tiles(c_) + 4 * (patch_cut(c_).pitch + depths));
    std::int64_t spots = by_rows ? depths : t.rows();
    if (c_.is_direct && c_.other_lanes == Lanes::depth) spots += t.columns();
    const std::int64_t spot = gathered_bounds_.size() < 2 ? 8 : 16;
    return static_cast<std::uint32_t>(bytes_of_tiles(c_) + spots * spot);
  }

  const CudaContraction& c_;
  std::vector<Cut> cuts_;
  bool has_chunks_ = false;
  std::string name_;
  Bounds gathered_bounds_, packed_bounds_, result_bounds_;
  std::vector<std::vector<std::int64_t>> fields_;
  std::string body_;
};

}  // namespace

ContractionTypes::ContractionTypes(const CudaContraction& c)
    : element(size_of(c.dtype) == 2       ? "u16"
              : c.dtype == DType::float64 ? "double"
                                          : "float"),
      value(c.dtype == DType::float64 ? "double" : "float"),
      result(c.has_partial() ? value : element) {}

ContractionStructure contraction_structure(const CudaContraction& contraction, const std::string& name) {
  return StructureWriter(contraction, name).write();
}

}  // namespace croton
