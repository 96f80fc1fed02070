#include "croton/codegen/flat_image.h"

#include <algorithm>
#include <numeric>

namespace croton {

namespace {

std::int64_t floor_of(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

}  // namespace

std::int64_t FlatAxis::first(std::int64_t plane) const {
  const std::int64_t skipped = -(begin + plane);
  return skipped <= 0 ? 0 : (skipped + planes - 1) / planes;
}

std::int64_t FlatAxis::last(std::int64_t plane) const {
  const std::int64_t room = source - begin - plane;
  return std::max(first(plane), std::min(extent, room <= 0 ? 0 : (room + planes - 1) / planes));
}

FlatAxis flat_axis(const CorrelationAxis& axis) {
  FlatAxis flat;
  flat.source = axis.source;
  flat.planes = axis.phases.empty() ? 1 : axis.phases.front().stride;
  flat.begin = floor_of(axis.lowest(), flat.planes) * flat.planes;
  flat.extent = (axis.highest() - flat.begin) / flat.planes + 1;
  return flat;
}

std::vector<TapGroup> tap_groups(const FlatAxis& axis, const AxisPhase& phase) {
  // Taps that are planes / gcd apart read the same plane.
  const std::int64_t common = std::gcd(axis.planes, std::abs(phase.offset_step));
  const std::int64_t apart = axis.planes / std::max<std::int64_t>(1, common);
  std::vector<TapGroup> groups;
  for (std::int64_t tap = 0; tap < std::min(apart, phase.taps); ++tap) {
    const std::int64_t at = phase.offset + tap * phase.offset_step - axis.begin;
    TapGroup group;
    group.tap = tap;
    group.tap_step = apart;
    group.count = (phase.taps - tap + apart - 1) / apart;
    group.plane = at % axis.planes;
    group.offset = at / axis.planes;
    group.offset_step = apart * phase.offset_step / axis.planes;
    groups.push_back(group);
  }
  return groups;
}

void load_flat_channel(KernelBuilder& b, const FlatImage& flat, Buffer to, Index to_begin, Buffer from,
                       Index from_begin) {
  const FlatAxis &rows = flat.rows, &columns = flat.columns;
  for (std::int64_t r = 0; r < rows.planes; ++r) {
    for (std::int64_t c = 0; c < columns.planes; ++c) {
      const std::int64_t first = columns.first(c), last = columns.last(c);
      if (first == last) continue;
      const Index plane = to_begin + Index((r * columns.planes + c) * flat.plane());
      b.loop("row", rows.first(r), rows.last(r), [&](Index i) {
        const Index row = i * Index(rows.planes) + Index(rows.begin + r);
        b.loop("column", first, last, vectorize, [&](Index j) {
          const Index column = j * Index(columns.planes) + Index(columns.begin + c);
          b.store(to, plane + i * Index(flat.pitch()) + j,
                  b.load(from, from_begin + row * Index(columns.source) + column));
        });
      });
    }
  }
}

}  // namespace croton
