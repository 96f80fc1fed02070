#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/Metadata.h>

#include "croton/codegen/llvm_phase.h"

namespace croton {

/// Marks an access with what it cannot overlap.
template <class T>
T* PhaseEmitter::tagged(T* access, const Place& place) {
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(access);
  if (place.buffer < 0 || instruction == nullptr) return access;
  const auto buffer = static_cast<std::size_t>(place.buffer);
  if (scopes_[buffer] == nullptr) return access;
  instruction->setMetadata(llvm::LLVMContext::MD_alias_scope, scopes_[buffer]);
  if (others_[buffer] != nullptr) instruction->setMetadata(llvm::LLVMContext::MD_noalias, others_[buffer]);
  return access;
}

llvm::Value* PhaseEmitter::from_memory(llvm::Value* value, DType dtype) {
  if (is_bool(dtype)) return b_.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
  if (dtype == DType::float16 || dtype == DType::bfloat16) return widen_half(scalar(), value, dtype);
  return value;
}

llvm::Value* PhaseEmitter::to_memory(llvm::Value* value, DType dtype) {
  if (is_bool(dtype)) return b_.CreateZExt(value, like(b_.getInt8Ty(), value));
  if (dtype == DType::float16 || dtype == DType::bfloat16) return narrow_half(scalar(), value, dtype);
  return value;
}

llvm::Value* PhaseEmitter::both(llvm::Value* mask, llvm::Value* other) {
  if (mask == nullptr) return other;
  if (other == nullptr) return mask;
  const unsigned lanes = std::max(lanes_of(mask), lanes_of(other));
  return b_.CreateAnd(splat(b_, mask, lanes), splat(b_, other, lanes));
}

/// The pointer if a lane that counts wants the access, else one to memory nobody looks at: no branch. Without
/// conditions there is always such a lane, in a tail too.
llvm::Value* PhaseEmitter::harmless(llvm::Value* pointer, llvm::Value* mask) {
  if (mask == nullptr && mask_ == lanes_.active) return pointer;
  llvm::Value* const wanted = both(mask, mask_);
  return b_.CreateSelect(is_vector(wanted) ? b_.CreateOrReduce(wanted) : wanted, pointer, nowhere_);
}

llvm::Value* PhaseEmitter::element_pointer(llvm::Value* pointer, llvm::Type* element, llvm::Value* index) {
  return b_.CreateGEP(element, pointer, index);
}

llvm::Value* PhaseEmitter::lane_pointers(const Place& place, llvm::Type* element) {
  llvm::Value* const base = element_pointer(place.pointer, element, place.index.base);
  llvm::Value* lanes = place.index.lanes;
  if (place.index.stride != 0 || lanes == nullptr) {
    const std::int64_t reach = place.index.stride * lanes_.width;
    const bool is_short = reach <= INT32_MAX && reach >= INT32_MIN && lanes == nullptr;
    llvm::Type* const number = is_short ? b_.getInt32Ty() : b_.getInt64Ty();
    llvm::Value* const strided = lane_numbers(number, lanes_.width, place.index.stride);
    lanes = lanes == nullptr ? strided : b_.CreateAdd(strided, b_.CreateSExt(lanes, strided->getType()));
  }
  return element_pointer(base, element, lanes);
}

// LLVM 19 pads a number of lanes that is no power of two with undefined ones, and then may give a gather one
// register for both its index and its result, which the machine refuses. So those go in pieces.
llvm::Value* PhaseEmitter::gather(const Place& place, llvm::Type* element, llvm::Value* allowed) {
  const llvm::Align align(element->getScalarSizeInBits() / 8);
  const unsigned piece = lanes_.width & (~lanes_.width + 1);
  llvm::Type* const vector = with_lanes(element, piece);
  llvm::Value* const pointers = lane_pointers(place, element);
  llvm::SmallVector<llvm::Value*, 4> parts;
  for (unsigned first = 0; first < lanes_.width; first += piece) {
    llvm::Value* const from = piece == lanes_.width ? pointers : take_lanes(b_, pointers, first, piece);
    llvm::Value* const mask =
        allowed == nullptr || piece == lanes_.width ? allowed : take_lanes(b_, allowed, first, piece);
    parts.push_back(tagged(
        b_.CreateMaskedGather(vector, from, align, mask, llvm::Constant::getNullValue(vector)), place));
  }
  return parts.size() == 1 ? parts.front() : llvm::concatenateVectors(b_, parts);
}

void PhaseEmitter::scatter(const Place& place, llvm::Type* element, llvm::Value* value,
                           llvm::Value* allowed) {
  const llvm::Align align(element->getScalarSizeInBits() / 8);
  const unsigned piece = lanes_.width & (~lanes_.width + 1);
  llvm::Value* const pointers = lane_pointers(place, element);
  const auto part = [&](llvm::Value* v, unsigned first) {
    return v == nullptr || piece == lanes_.width ? v : take_lanes(b_, v, first, piece);
  };
  for (unsigned first = 0; first < lanes_.width; first += piece) {
    tagged(b_.CreateMaskedScatter(part(value, first), part(pointers, first), align, part(allowed, first)),
           place);
  }
}

/// Stride 2, 3 or 4 as that many vectors and shuffles. The last vector ends with the last lane's element, so
/// nothing behind it is read.
llvm::Value* PhaseEmitter::load_strided(const Place& place, llvm::Type* element) {
  const unsigned width = lanes_.width;
  const auto stride = static_cast<unsigned>(place.index.stride);
  llvm::Type* const vector = with_lanes(element, width);
  const llvm::Align align(element->getScalarSizeInBits() / 8);
  llvm::Value* const base = element_pointer(place.pointer, element, place.index.base);
  llvm::Value* result = nullptr;
  for (unsigned part = 0; part < stride; ++part) {
    const unsigned begin = part + 1 < stride ? part * width : (width - 1) * stride + 1 - width;
    llvm::Value* const pointer = b_.CreateConstGEP1_64(element, base, begin);
    llvm::Value* const loaded = tagged(b_.CreateAlignedLoad(vector, pointer, align), place);
    // Lanes whose element lies in this part come from it, the earlier ones from the result so far.
    llvm::SmallVector<int, 64> from;
    for (unsigned lane = 0; lane < width; ++lane) {
      const unsigned element_at = lane * stride;
      const unsigned owner = std::min(element_at / width, stride - 1);
      if (result == nullptr) {
        from.push_back(owner == 0 ? static_cast<int>(element_at) : -1);
      } else if (owner == part) {
        from.push_back(static_cast<int>(width + element_at - begin));
      } else {
        from.push_back(owner < part ? static_cast<int>(lane) : -1);
      }
    }
    result = result == nullptr ? b_.CreateShuffleVector(loaded, from)
                               : b_.CreateShuffleVector(result, loaded, from);
  }
  return result;
}

llvm::Value* PhaseEmitter::load(const Place& place, llvm::Value* mask, llvm::Value* otherwise) {
  llvm::Type* const element = memory_type(b_.getContext(), place.dtype);
  const llvm::Align align(element->getScalarSizeInBits() / 8);
  if (place.index.is_uniform()) {
    llvm::Value* const pointer = element_pointer(place.pointer, element, place.index.base);
    llvm::Value* const safe = harmless(pointer, mask);
    llvm::Value* const loaded =
        from_memory(tagged(b_.CreateAlignedLoad(element, safe, align), place), place.dtype);
    if (mask == nullptr) return loaded;
    const unsigned lanes = std::max(lanes_of(mask), lanes_of(otherwise));
    return b_.CreateSelect(splat(b_, mask, lanes), splat(b_, loaded, lanes), splat(b_, otherwise, lanes));
  }
  const unsigned width = lanes_.width;
  llvm::Type* const vector = with_lanes(element, width);
  llvm::Value* allowed = both(mask, mask_);
  if (allowed != nullptr) allowed = splat(b_, allowed, width);
  llvm::Value* loaded = nullptr;
  const std::int64_t stride = place.index.lanes == nullptr ? place.index.stride : 0;
  if (stride == 1 || stride == -1) {
    const auto reversed = [&](llvm::Value* v) { return stride == 1 ? v : b_.CreateVectorReverse(v); };
    llvm::Value* pointer = element_pointer(place.pointer, element, place.index.base);
    if (stride == -1)
      pointer = b_.CreateConstGEP1_64(element, pointer,
                                      static_cast<std::uint64_t>(1 - static_cast<std::int64_t>(width)));
    if (allowed == nullptr) {
      loaded = tagged(b_.CreateAlignedLoad(vector, pointer, align), place);
    } else {
      loaded = tagged(b_.CreateMaskedLoad(vector, pointer, align, reversed(allowed),
                                          llvm::Constant::getNullValue(vector)),
                      place);
    }
    loaded = reversed(loaded);
  } else if (stride >= 2 && stride <= 4 && allowed == nullptr) {
    loaded = load_strided(place, element);
  } else {
    loaded = gather(place, element, allowed);
  }
  llvm::Value* const value = from_memory(loaded, place.dtype);
  const auto* const known = llvm::dyn_cast<llvm::Constant>(otherwise == nullptr ? value : otherwise);
  // A masked load gives zeros where it loads nothing.
  if (mask == nullptr || (known != nullptr && known->isNullValue())) return value;
  return b_.CreateSelect(splat(b_, mask, width), value, splat(b_, otherwise, width));
}

void PhaseEmitter::store(const Place& place, llvm::Value* value, llvm::Value* mask) {
  llvm::Type* const element = memory_type(b_.getContext(), place.dtype);
  const llvm::Align align(element->getScalarSizeInBits() / 8);
  llvm::Value* allowed = both(mask, mask_);
  llvm::Value* const stored = to_memory(value, place.dtype);
  if (place.index.is_uniform() && !is_vector(stored)) {
    llvm::Value* const pointer = element_pointer(place.pointer, element, place.index.base);
    tagged(b_.CreateAlignedStore(stored, harmless(pointer, mask), align), place);
    return;
  }
  const unsigned width = lanes_.width;
  llvm::Value* lanes = splat(b_, stored, width);
  if (allowed != nullptr) allowed = splat(b_, allowed, width);
  const std::int64_t stride = place.index.lanes == nullptr ? place.index.stride : 0;
  if (stride == 1 || stride == -1) {
    llvm::Value* pointer = element_pointer(place.pointer, element, place.index.base);
    if (stride == -1) {
      pointer = b_.CreateConstGEP1_64(element, pointer,
                                      static_cast<std::uint64_t>(1 - static_cast<std::int64_t>(width)));
      lanes = b_.CreateVectorReverse(lanes);
      if (allowed != nullptr) allowed = b_.CreateVectorReverse(allowed);
    }
    if (allowed == nullptr) {
      tagged(b_.CreateAlignedStore(lanes, pointer, align), place);
    } else {
      tagged(b_.CreateMaskedStore(lanes, pointer, align, allowed), place);
    }
    return;
  }
  scatter(place, element, lanes, allowed);
}

void PhaseEmitter::prefetch(const Statement& s) {
  const BufferInfo& buffer = k_.buffers[static_cast<std::size_t>(s.target)];
  llvm::Value* const pointer =
      b_.CreateGEP(memory_type(b_.getContext(), buffer.dtype), buffers_[static_cast<std::size_t>(s.target)],
                   uniform_index(s.index));
  const bool writes = buffer.role != BufferInfo::Role::in;
  b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {pointer->getType()},
                     {pointer, b_.getInt32(writes), b_.getInt32(3), b_.getInt32(1)});
}

llvm::Value* PhaseEmitter::load_row(const Tile& tile, unsigned row, llvm::Type* type) {
  llvm::Value* const pointer = element_pointer(tile.source, tile.element, i64(tile.from_stride * row));
  return tagged(b_.CreateAlignedLoad(type, pointer, tile.align), tile.from);
}

void PhaseEmitter::store_column(const Tile& tile, unsigned column, llvm::Value* value) {
  llvm::Value* const pointer = element_pointer(tile.goal, tile.element, i64(tile.to_stride * column));
  tagged(b_.CreateAlignedStore(value, pointer, tile.align), tile.to);
}

void PhaseEmitter::transpose(const Statement& s) {
  const DType dtype = k_.buffers[static_cast<std::size_t>(s.target)].dtype;
  Tile tile;
  tile.from = {buffers_[static_cast<std::size_t>(s.second)], dtype, s.second, {}};
  tile.to = {buffers_[static_cast<std::size_t>(s.target)], dtype, s.target, {}};
  tile.element = memory_type(b_.getContext(), dtype);
  tile.align = llvm::Align(tile.element->getScalarSizeInBits() / 8);
  tile.source = element_pointer(tile.from.pointer, tile.element, uniform_index(s.second_index));
  tile.goal = element_pointer(tile.to.pointer, tile.element, uniform_index(s.index));
  tile.rows = static_cast<unsigned>(s.tile[0]);
  tile.columns = static_cast<unsigned>(s.tile[1]);
  tile.from_stride = s.strides[1];
  tile.to_stride = s.strides[0];
  constexpr unsigned most_packed = 4;
  const bool is_matrix = tile.rows >= 2 && tile.columns >= 2;
  if (tile.rows == 1 && tile.columns == 1) {
    store_column(tile, 0, load_row(tile, 0, tile.element));
  } else if (is_matrix && tile.columns <= most_packed && tile.from_stride == s.tile[1]) {
    transpose_packed_rows(tile);
  } else if (is_matrix && tile.rows <= most_packed && tile.to_stride == s.tile[0]) {
    transpose_to_packed_columns(tile);
  } else {
    transpose_by_steps(tile);
  }
}

/// Rows of two to four elements that lie packed in memory are one wide vector: a shuffle a column takes it
/// apart.
void PhaseEmitter::transpose_packed_rows(const Tile& tile) {
  llvm::Value* const packed = load_row(tile, 0, with_lanes(tile.element, tile.rows * tile.columns));
  for (unsigned c = 0; c < tile.columns; ++c) {
    llvm::SmallVector<int, 16> lanes;
    for (unsigned r = 0; r < tile.rows; ++r) lanes.push_back(static_cast<int>(r * tile.columns + c));
    store_column(tile, c, b_.CreateShuffleVector(packed, lanes));
  }
}

/// Two to four rows whose columns lie packed where they are written: joined, then interleaved.
void PhaseEmitter::transpose_to_packed_columns(const Tile& tile) {
  const unsigned columns = tile.columns, count = tile.rows * columns;
  llvm::Value* packed = nullptr;
  for (unsigned r = 0; r < tile.rows; ++r) {
    llvm::Value* const row = load_row(tile, r, with_lanes(tile.element, columns));
    llvm::SmallVector<int, 64> widened(count, -1), placed;
    for (unsigned i = 0; i < columns; ++i) widened[i] = static_cast<int>(i);
    llvm::Value* const wide = b_.CreateShuffleVector(row, widened);
    if (packed == nullptr) {
      packed = wide;
      continue;
    }
    for (unsigned i = 0; i < count; ++i)
      placed.push_back(static_cast<int>(i / columns == r ? count + i % columns : i));
    packed = b_.CreateShuffleVector(packed, wide, placed);
  }
  llvm::SmallVector<int, 64> interleaved;
  for (unsigned c = 0; c < columns; ++c) {
    for (unsigned r = 0; r < tile.rows; ++r) interleaved.push_back(static_cast<int>(r * columns + c));
  }
  store_column(tile, 0, b_.CreateShuffleVector(packed, interleaved));
}

/// Rows become vectors; log2 steps of interleaving turn them into columns.
void PhaseEmitter::transpose_by_steps(const Tile& tile) {
  unsigned side = 1;
  while (side < tile.rows || side < tile.columns) side *= 2;
  const auto first_lanes = [&](unsigned count) -> llvm::Constant* {
    llvm::SmallVector<llvm::Constant*, 16> lanes;
    for (unsigned i = 0; i < side; ++i) lanes.push_back(b_.getInt1(i < count));
    return llvm::ConstantVector::get(lanes);
  };
  llvm::Type* const vector = with_lanes(tile.element, side);
  std::vector<llvm::Value*> lines(side, llvm::PoisonValue::get(vector));
  for (unsigned r = 0; r < tile.rows; ++r) {
    if (tile.columns == side) {
      lines[r] = load_row(tile, r, vector);
      continue;
    }
    llvm::Value* const pointer = element_pointer(tile.source, tile.element, i64(tile.from_stride * r));
    lines[r] = tagged(b_.CreateMaskedLoad(vector, pointer, tile.align, first_lanes(tile.columns),
                                          llvm::PoisonValue::get(vector)),
                      tile.from);
  }
  // Step h exchanges, between lines r and r + h, the elements whose column has bit h.
  for (unsigned h = 1; h < side; h *= 2) {
    llvm::SmallVector<int, 16> low, high;
    for (unsigned lane = 0; lane < side; ++lane) {
      const bool bit = (lane & h) != 0;
      low.push_back(static_cast<int>(bit ? side + (lane ^ h) : lane));
      high.push_back(static_cast<int>(bit ? side + lane : (lane ^ h)));
    }
    for (unsigned r = 0; r < side; ++r) {
      if ((r & h) != 0) continue;
      llvm::Value* const first = lines[r];
      llvm::Value* const second = lines[r + h];
      lines[r] = b_.CreateShuffleVector(first, second, low);
      lines[r + h] = b_.CreateShuffleVector(first, second, high);
    }
  }
  for (unsigned c = 0; c < tile.columns; ++c) {
    if (tile.rows == side) {
      store_column(tile, c, lines[c]);
      continue;
    }
    llvm::Value* const pointer = element_pointer(tile.goal, tile.element, i64(tile.to_stride * c));
    tagged(b_.CreateMaskedStore(lines[c], pointer, tile.align, first_lanes(tile.rows)), tile.to);
  }
}

}  // namespace croton
