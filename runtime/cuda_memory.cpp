#include "croton/runtime/cuda_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/runtime/byte_text.h"
#include "croton/runtime/cuda_device.h"

namespace croton {

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
/// Small requests share pieces of this size.
constexpr std::size_t small_piece = 2 * mebibyte;
constexpr std::size_t medium_piece = 32 * mebibyte;
/// What is left over is cut off when it is worth keeping.
constexpr std::size_t least_remainder = CudaMemory::granularity;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

std::size_t piece_bytes(std::size_t bytes) {
  if (bytes <= small_piece / 2) return small_piece;
  if (bytes <= medium_piece / 3) return medium_piece;
  return round_up(bytes, small_piece);
}

}  // namespace

CudaMemory::CudaMemory(CudaDevice& device) : device_(device) {
  most_bytes_ = static_cast<std::size_t>(config().gpu_max_memory()) * mebibyte;
  const auto preallocate = static_cast<std::size_t>(config().gpu_preallocate()) * mebibyte;
  if (preallocate > 0) {
    if (most_bytes_ > 0 && preallocate > most_bytes_) {
      throw FlagError(fmt::format("gpu.preallocate ({} MiB) is more than gpu.max_memory ({} MiB) allows",
                                  preallocate / mebibyte, most_bytes_ / mebibyte));
    }
    Block* piece = add_piece(preallocate);
    if (piece == nullptr) {
      throw MemoryError(fmt::format("gpu.preallocate asks for {}, but {} of {} are free on {} ({})",
                                    byte_text(preallocate), byte_text(device_.free_bytes()),
                                    byte_text(device_.info().total_bytes),
                                    fmt::format("cuda{}", device_.ordinal()), device_.info().name));
    }
    insert_free(piece);
  }
}

std::size_t CudaMemory::class_of(std::size_t bytes) {
  return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(bytes / granularity)), classes - 1);
}

void CudaMemory::insert_free(Block* block) {
  Block*& first = free_[class_of(block->bytes)];
  block->is_free = true;
  block->previous = nullptr;
  block->next = first;
  if (first != nullptr) first->previous = block;
  first = block;
}

void CudaMemory::remove_free(Block* block) {
  block->is_free = false;
  if (block->previous != nullptr)
    block->previous->next = block->next;
  else
    free_[class_of(block->bytes)] = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  block->previous = block->next = nullptr;
}

CudaMemory::Block* CudaMemory::new_block() {
  if (spare_.empty()) {
    blocks_.push_back(std::make_unique<Block>());
    spare_.reserve(blocks_.size());  // giving back never allocates
    return blocks_.back().get();
  }
  Block* block = spare_.back();
  spare_.pop_back();
  return block;
}

void CudaMemory::recycle(Block* block) {
  *block = Block{};
  spare_.push_back(block);
}

/// The smallest of the first few that fit, from the smallest class that can have one.
CudaMemory::Block* CudaMemory::find(std::size_t bytes) {
  for (std::size_t c = class_of(bytes); c < classes; ++c) {
    Block* best = nullptr;
    int seen = 0;
    for (Block* block = free_[c]; block != nullptr && seen < 16; block = block->next) {
      if (block->bytes < bytes) continue;
      ++seen;
      if (best == nullptr || block->bytes < best->bytes) best = block;
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

/// A piece as one block that is in no list, or null when the driver has no memory.
CudaMemory::Block* CudaMemory::add_piece(std::size_t bytes) {
  if (most_bytes_ > 0 && usage_.reserved + bytes > most_bytes_) return nullptr;
  CUdeviceptr address = 0;
  const CUresult result = cuda_driver().cuMemAlloc(&address, bytes);
  if (result == cuda_out_of_memory) return nullptr;
  check_cuda(result, "cuMemAlloc");
  Block* block = new_block();
  block->address = reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(address));
  block->bytes = bytes;
  pieces_.push_back(block);
  usage_.reserved += bytes;
  usage_.pieces = pieces_.size();
  return block;
}

CudaMemory::Block* CudaMemory::take(std::size_t bytes, std::shared_ptr<const std::string> label) {
  bytes = round_up(std::max<std::size_t>(bytes, 1), granularity);
  const std::lock_guard guard(mutex_);
  Block* block = find(bytes);
  if (block != nullptr) {
    remove_free(block);
  } else {
    block = add_piece(piece_bytes(bytes));
    if (block == nullptr) block = add_piece(round_up(bytes, small_piece));
    if (block == nullptr && free_pieces() > 0) block = add_piece(round_up(bytes, small_piece));
    if (block == nullptr) fail(bytes);
  }
  if (block->bytes - bytes >= least_remainder) {
    Block* rest = new_block();
    rest->address = block->address + bytes;
    rest->bytes = block->bytes - bytes;
    rest->before = block;
    rest->after = block->after;
    if (rest->after != nullptr) rest->after->before = rest;
    block->after = rest;
    block->bytes = bytes;
    insert_free(rest);
  }
  block->label = std::move(label);
  usage_.in_use += block->bytes;
  usage_.peak = std::max(usage_.peak, usage_.in_use);
  return block;
}

void CudaMemory::give_back(Block* block) noexcept {
  const std::lock_guard guard(mutex_);
  usage_.in_use -= block->bytes;
  block->label.reset();
  if (Block* after = block->after; after != nullptr && after->is_free) {
    remove_free(after);
    block->bytes += after->bytes;
    block->after = after->after;
    if (block->after != nullptr) block->after->before = block;
    recycle(after);
  }
  if (Block* before = block->before; before != nullptr && before->is_free) {
    remove_free(before);
    before->bytes += block->bytes;
    before->after = block->after;
    if (before->after != nullptr) before->after->before = before;
    recycle(block);
    block = before;
  }
  insert_free(block);
}

/// How many went back to the driver (which waits for the device).
std::size_t CudaMemory::free_pieces() {
  const auto is_whole = [](const Block* first) { return first->is_free && first->after == nullptr; };
  const std::size_t before = pieces_.size();
  for (Block*& piece : pieces_) {
    if (!is_whole(piece)) continue;
    remove_free(piece);
    check_cuda(cuda_driver().cuMemFree(device_address(piece->address)), "cuMemFree");
    usage_.reserved -= piece->bytes;
    recycle(piece);
    piece = nullptr;
  }
  std::erase(pieces_, nullptr);
  usage_.pieces = pieces_.size();
  return before - pieces_.size();
}

void CudaMemory::trim() {
  const std::lock_guard guard(mutex_);
  free_pieces();
}

CudaMemory::Usage CudaMemory::usage() const {
  const std::lock_guard guard(mutex_);
  return usage_;
}

/// The largest blocks in use by label, one a line; empty when none is labelled. The mutex is held.
std::string CudaMemory::largest_blocks(std::size_t most) const {
  std::vector<const Block*> labelled;
  for (const auto& block : blocks_) {
    if (block->label != nullptr) labelled.push_back(block.get());
  }
  most = std::min(most, labelled.size());
  std::partial_sort(labelled.begin(), labelled.begin() + static_cast<std::ptrdiff_t>(most), labelled.end(),
                    [](const Block* a, const Block* b) { return a->bytes > b->bytes; });
  std::string text;
  for (std::size_t i = 0; i < most; ++i) {
    text += fmt::format("\n    {:>10}  {}", byte_text(labelled[i]->bytes), *labelled[i]->label);
  }
  return text;
}

void CudaMemory::fail(std::size_t bytes) {
  std::string text = fmt::format(
      "out of memory on cuda{} ({}): {} were asked for; {} of {} are free, {} are held by this process, "
      "{} of them in use",
      device_.ordinal(), device_.info().name, byte_text(bytes), byte_text(device_.free_bytes()),
      byte_text(device_.info().total_bytes), byte_text(usage_.reserved), byte_text(usage_.in_use));
  if (most_bytes_ > 0) text += fmt::format(" (gpu.max_memory allows {})", byte_text(most_bytes_));
  const std::string largest = largest_blocks(8);
  if (!largest.empty()) text += "\n  the largest in use:" + largest;
  const bool others_hold = device_.info().total_bytes > device_.free_bytes() + usage_.reserved + (1ull << 30);
  text +=
      "\n  smaller batches need less; functions that are not needed any more keep their memory until they "
      "are destroyed";
  if (most_bytes_ > 0 && usage_.reserved + bytes > most_bytes_)
    text += "; gpu.max_memory can be raised";
  else if (others_hold)
    text += "; other processes hold much of this GPU (nvidia-smi), device=most-free takes another one";
  throw MemoryError(text);
}

struct PinnedBuffers::Buffer {
  Buffer(CudaDevice& device, std::size_t bytes) : event(device) {
    CROTON_CUDA(cuMemHostAlloc, (&memory, bytes, 0));
  }
  ~Buffer() { (void)cuda_driver().cuMemFreeHost(memory); }
  void* memory = nullptr;
  CudaEvent event;
};

PinnedBuffers::PinnedBuffers(CudaDevice& device) : device_(device) {}
PinnedBuffers::~PinnedBuffers() = default;

/// One whose last copy is done; the mutex is held.
PinnedBuffers::Buffer* PinnedBuffers::take(std::size_t bytes) {
  const auto size_class = static_cast<std::size_t>(std::bit_width(std::max<std::size_t>(bytes, 4096) - 1));
  if (buffers_.size() <= size_class) buffers_.resize(size_class + 1);
  auto& list = buffers_[size_class];
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i]->event.is_done()) continue;
    // To the end: what is looked at first is what was used longest ago.
    std::rotate(list.begin() + static_cast<std::ptrdiff_t>(i),
                list.begin() + static_cast<std::ptrdiff_t>(i) + 1, list.end());
    return list.back().get();
  }
  if (list.size() < most_buffers) {
    list.push_back(std::make_unique<Buffer>(device_, std::size_t{1} << size_class));
    return list.back().get();
  }
  list.front()->event.wait();
  std::rotate(list.begin(), list.begin() + 1, list.end());
  return list.back().get();
}

void PinnedBuffers::upload(void* to, const void* from, std::size_t bytes) {
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  const std::lock_guard guard(mutex_);
  while (bytes > 0) {
    const std::size_t part = std::min(bytes, most_bytes);
    Buffer* buffer = take(part);
    std::copy_n(source, part, static_cast<std::byte*>(buffer->memory));
    CROTON_CUDA(cuMemcpyHtoDAsync, (device_address(target), buffer->memory, part, device_.stream()));
    buffer->event.record();
    source += part;
    target += part;
    bytes -= part;
  }
}

}  // namespace croton
