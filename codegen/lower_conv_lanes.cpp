#include "croton/codegen/lower_conv_lanes.h"

#include <algorithm>

namespace croton {

namespace {

// Tasks a thread gets, so that one that is slowed down can leave some to the others.
constexpr std::int64_t chunks_per_thread = 4;
// Elements of scratch memory of all tasks together stay below this, as far as there is a task for each
// thread.
constexpr std::int64_t most_scratch = 16 * 1024 * 1024;

// Elements that are fetched ahead of each image while it is moved: so many streams are too many for the
// processor to follow by itself.
constexpr std::int64_t prefetch_distance = 64;

std::pair<Index, Index> part_of(const ConvTasks& tasks, Index part, std::int64_t count) {
  const std::int64_t share = (count + tasks.parts - 1) / tasks.parts;
  const Index begin = part * Index(share);
  return {min(begin, count), min(begin + Index(share), count)};
}

}  // namespace

TileSplit split_evenly(std::int64_t extent, std::int64_t most) {
  TileSplit split;
  if (extent <= 0) return split;
  const std::int64_t tiles = (extent + most - 1) / most;
  split.size = extent / tiles;
  split.large = extent % tiles;
  split.small = tiles - split.large;
  return split;
}

std::int64_t conv_lanes(DType dtype) { return 64 / static_cast<std::int64_t>(size_of(compute_dtype(dtype))); }

void load_lanes(KernelBuilder& b, const LaneLayout& layout, Buffer to, Index to_begin, Buffer from,
                Index from_begin, std::int64_t images) {
  LaneLayout l = layout;
  if (l.image() == 0) return;
  if (l.row_pitch == l.columns) {  // without gaps: fewer, longer rows
    l.columns *= l.rows;
    l.row_pitch = l.channel_pitch;
    l.rows = 1;
    if (l.channel_pitch == l.columns) {
      l.columns *= l.channels;
      l.channels = 1;
    }
  }
  const std::int64_t lanes = l.lanes, between = l.between;
  const std::int64_t whole = l.columns / lanes * lanes;
  b.loop("channel", 0, l.channels, [&](Index channel) {
    b.loop("row", 0, l.rows, [&](Index row) {
      const Index source = from_begin + (channel * Index(l.rows) + row) * Index(l.columns);
      const Index goal =
          to_begin + (channel * Index(l.channel_pitch) + row * Index(l.row_pitch)) * Index(lanes);
      if (whole > 0) {
        b.loop(
            "i", 0, whole, serial,
            [&](Index i) {
              for (std::int64_t image = 0; image < images; ++image)
                b.prefetch(from, source + i + Index(image * between + prefetch_distance));
              b.transpose_tile(to, goal + i * Index(lanes), lanes, from, source + i, between, images, lanes);
            },
            lanes);
      }
      if (whole < l.columns) {
        b.transpose_tile(to, goal + Index(whole * lanes), lanes, from, source + Index(whole), between, images,
                         l.columns - whole);
      }
    });
  });
}

void copy_in_vectors(KernelBuilder& b, Buffer to, Index to_begin, Buffer from, Index from_begin,
                     std::int64_t count, std::int64_t lanes) {
  const std::int64_t whole = count / lanes * lanes;
  b.loop("i", 0, whole, vectorize, [&](Index i) { b.store(to, to_begin + i, b.load(from, from_begin + i)); });
  if (whole == count) return;
  b.loop("i", whole, whole + lanes, vectorize, [&](Index i) {
    const ScalarValue is_inside = b.compare(ScalarOp::lt, i, count);
    b.store(to, to_begin + i,
            b.load(from, from_begin + i, is_inside, b.constant(0, compute_dtype(from.dtype))));
  });
}

void add_partial_sums(KernelBuilder& b, Buffer result, Buffer partial, std::int64_t chunks,
                      std::int64_t weights, std::int64_t lanes) {
  const ScalarValue zero = b.constant(0, compute_dtype(result.dtype));
  const auto sum_of_chunks = [&](Index i) {
    const Local sum = b.local("sum", zero);
    b.loop("chunk", 0, chunks, [&](Index chunk) {
      b.set(sum, b.emit(ScalarOp::add, b.get(sum), b.load(partial, chunk * Index(weights * lanes) + i)));
    });
    return b.get(sum);
  };
  if (lanes == 1) {
    b.parallel("i", weights, [&](Index i) { b.store(result, i, sum_of_chunks(i)); }, vectorize);
    return;
  }
  b.parallel("i", weights, [&](Index i) {
    const Local total = b.local("total", zero);
    b.loop("lane", 0, lanes, vectorize.by(1),
           [&](Index lane) { b.reduce(ScalarOp::add, total, sum_of_chunks(i * Index(lanes) + lane)); });
    b.store(result, i, b.get(total));
  });
}

ConvTasks conv_tasks(std::int64_t blocks, std::int64_t groups, std::int64_t filter_tiles,
                     std::int64_t scratch, int threads) {
  ConvTasks tasks;
  tasks.has_parts_of_groups = groups > filter_tiles;
  tasks.blocks = blocks;
  if (blocks == 0) return tasks;
  tasks.parts =
      std::clamp<std::int64_t>(threads / blocks, 1, std::max<std::int64_t>({1, groups, filter_tiles}));
  const std::int64_t tasks_each = std::clamp<std::int64_t>(
      most_scratch / std::max<std::int64_t>(1, scratch * threads), 1, chunks_per_thread);
  const std::int64_t wanted =
      threads == 1 ? 1 : std::clamp<std::int64_t>(tasks_each * threads / tasks.parts, 1, blocks);
  tasks.per_chunk = (blocks + wanted - 1) / wanted;
  tasks.chunks = (blocks + tasks.per_chunk - 1) / tasks.per_chunk;
  return tasks;
}

std::pair<Index, Index> groups_of(const ConvTasks& tasks, Index part, std::int64_t groups) {
  if (tasks.parts == 1 || !tasks.has_parts_of_groups) return {0, groups};
  return part_of(tasks, part, groups);
}

std::pair<Index, Index> share_of(const ConvTasks& tasks, Index part, std::int64_t count) {
  if (tasks.parts == 1 || tasks.has_parts_of_groups) return {0, count};
  return part_of(tasks, part, count);
}

}  // namespace croton
