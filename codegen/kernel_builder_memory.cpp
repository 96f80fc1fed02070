// Buffers and arrays, and what is loaded from and stored to them.

#include "croton/codegen/kernel_builder.h"

namespace croton {

namespace {

Instruction load_of(Instruction::Kind kind, std::int32_t from, DType dtype, std::int32_t index) {
  Instruction load;
  load.kind = kind;
  load.dtype = compute_dtype(dtype);
  load.target = from;
  load.index = index;
  return load;
}

Statement store_of(Statement::Kind kind, std::int32_t to, ScalarValue value, std::int32_t index) {
  Statement store;
  store.kind = kind;
  store.target = to;
  store.value = value.id;
  store.index = index;
  return store;
}

}  // namespace

Buffer KernelBuilder::declare(std::string_view name, DType dtype, std::int64_t count, BufferInfo::Role role) {
  if (is_complex(dtype)) misuse("a buffer of complex numbers");
  if (role == BufferInfo::Role::scratch && count < 0) misuse("a scratch buffer needs a number of elements");
  kernel_.buffers.push_back({unique(name), dtype, count, role, false});
  return {static_cast<std::int32_t>(kernel_.buffers.size()) - 1, dtype};
}

Buffer KernelBuilder::input(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::in);
}
Buffer KernelBuilder::output(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::out);
}
Buffer KernelBuilder::inout(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::inout);
}
Buffer KernelBuilder::scratch(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::scratch);
}

void KernelBuilder::set_may_alias(Buffer buffer) {
  check(buffer);
  kernel_.buffers[static_cast<std::size_t>(buffer.id)].may_alias = true;
}

LocalArray KernelBuilder::array(std::string_view name, DType dtype, std::int64_t count) {
  if (scopes_.empty() || scopes_.back().vector_depth > 0) misuse("arrays are declared outside vector loops");
  if (count <= 0 || is_complex(dtype)) misuse("an array needs elements");
  std::size_t bytes = static_cast<std::size_t>(count) * size_of(dtype);
  for (const ArrayInfo& other : kernel_.arrays)
    bytes += static_cast<std::size_t>(other.count) * size_of(other.dtype);
  if (bytes > 256 * 1024) misuse("more than 256 KiB of arrays on the stack: use a scratch buffer");
  const LocalArray array{static_cast<std::int32_t>(kernel_.arrays.size()), dtype};
  kernel_.arrays.push_back({unique(name), dtype, count});
  array_visible_.push_back(true);
  scopes_.back().arrays.push_back(array.id);
  return array;
}

ScalarValue KernelBuilder::load(LocalArray array, Index index) {
  check(array);
  return define(load_of(Instruction::Kind::load_array, array.id, array.dtype, node(index)), false);
}

void KernelBuilder::store(LocalArray array, Index index, ScalarValue value) {
  check(array);
  const ScalarValue stored = cast(value, compute_dtype(array.dtype));
  append(store_of(Statement::Kind::store_array, array.id, stored, node(index)));
}

ScalarValue KernelBuilder::load(Buffer buffer, Index index, std::optional<ScalarValue> mask,
                                ScalarValue otherwise) {
  check(buffer);
  if (mask) check_mask(*mask, "load");
  Instruction load = load_of(Instruction::Kind::load, buffer.id, buffer.dtype, node(index));
  if (mask) {
    load.mask = mask->id;
    load.operands[0] = cast(otherwise, load.dtype).id;
  }
  return define(load, false);
}

void KernelBuilder::store(Buffer buffer, Index index, ScalarValue value, std::optional<ScalarValue> mask) {
  check(buffer);
  if (mask) check_mask(*mask, "store");
  const ScalarValue stored = cast(value, compute_dtype(buffer.dtype));
  Statement store = store_of(Statement::Kind::store, buffer.id, stored, node(index));
  if (mask) store.mask = mask->id;
  append(store);
}

void KernelBuilder::transpose_tile(Buffer to, Index to_begin, std::int64_t to_stride, Buffer from,
                                   Index from_begin, std::int64_t from_stride, std::int64_t rows,
                                   std::int64_t columns) {
  check(to);
  check(from);
  if (to.dtype != from.dtype) misuse("transpose_tile: dtypes differ");
  if (rows < 1 || rows > 16 || columns < 1 || columns > 16)
    misuse("transpose_tile takes 1 to 16 rows and columns");
  if (scopes_.empty() || scopes_.back().vector_depth > 0) misuse("transpose_tile inside a vector loop");
  Statement transpose;
  transpose.kind = Statement::Kind::transpose;
  transpose.target = to.id;
  transpose.index = node(to_begin);
  transpose.strides[0] = to_stride;
  transpose.second = from.id;
  transpose.second_index = node(from_begin);
  transpose.strides[1] = from_stride;
  transpose.tile[0] = rows;
  transpose.tile[1] = columns;
  append(transpose);
}

void KernelBuilder::prefetch(Buffer buffer, Index index) {
  check(buffer);
  if (is_for_gpu_) return;
  Statement prefetch;
  prefetch.kind = Statement::Kind::prefetch;
  prefetch.target = buffer.id;
  prefetch.index = node(index);
  append(prefetch);
}

}  // namespace croton
