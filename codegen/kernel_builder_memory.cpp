// Buffers and arrays, and what is loaded from and stored to them.

#include "croton/codegen/kernel_builder.h"

namespace croton {

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
  Instruction load;
  load.kind = Instruction::Kind::load_array;
  load.dtype = compute_dtype(array.dtype);
  load.target = array.id;
  load.index = node(index);
  return define(load, false);
}

void KernelBuilder::store(LocalArray array, Index index, ScalarValue value) {
  check(array);
  Statement store;
  store.kind = Statement::Kind::store_array;
  store.target = array.id;
  store.value = cast(value, compute_dtype(array.dtype)).id;
  store.index = node(index);
  append(store);
}

ScalarValue KernelBuilder::load(Buffer buffer, Index index) {
  check(buffer);
  Instruction load;
  load.kind = Instruction::Kind::load;
  load.dtype = compute_dtype(buffer.dtype);
  load.target = buffer.id;
  load.index = node(index);
  return define(load, false);
}

ScalarValue KernelBuilder::load(Buffer buffer, Index index, ScalarValue mask, ScalarValue otherwise) {
  check(buffer);
  check(mask, "load");
  if (mask.dtype != DType::bool_) misuse("the mask of a load must be bool");
  Instruction load;
  load.kind = Instruction::Kind::load;
  load.dtype = compute_dtype(buffer.dtype);
  load.target = buffer.id;
  load.index = node(index);
  load.mask = mask.id;
  load.operands[0] = cast(otherwise, load.dtype).id;
  return define(load, false);
}

void KernelBuilder::store(Buffer buffer, Index index, ScalarValue value) {
  check(buffer);
  Statement store;
  store.kind = Statement::Kind::store;
  store.target = buffer.id;
  store.value = cast(value, compute_dtype(buffer.dtype)).id;
  store.index = node(index);
  append(store);
}

void KernelBuilder::store(Buffer buffer, Index index, ScalarValue value, ScalarValue mask) {
  check(buffer);
  check(mask, "store");
  if (mask.dtype != DType::bool_) misuse("the mask of a store must be bool");
  Statement store;
  store.kind = Statement::Kind::store;
  store.target = buffer.id;
  store.value = cast(value, compute_dtype(buffer.dtype)).id;
  store.index = node(index);
  store.mask = mask.id;
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
