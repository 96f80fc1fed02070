#include "croton/runtime/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/input_file.h"
#include "croton/graph/tensor_bytes.h"

namespace croton {

namespace {

[[noreturn]] void fail(std::string_view name, const std::string& what) {
  throw FileError(fmt::format("{}: {}", name, what));
}

/// The bytes of an IDX file in order, inflated as they are asked for.
class Source {
 public:
  Source(std::span<const std::byte> bytes, std::string_view name) : bytes_(bytes), name_(name) {
    gzipped_ = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
    if (!gzipped_) return;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(std::min<std::size_t>(bytes.size(), UINT32_MAX));
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) fail(name, "zlib cannot start to inflate it");
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (gzipped_) inflateEnd(&stream_);
  }

  /// The most bytes that can follow: deflate shrinks by at most a factor of 1032.
  std::size_t most() const { return gzipped_ ? bytes_.size() * 1032 + 1024 : bytes_.size() - at_; }

  /// Whether the data ended as its format demands, checksum included.
  bool complete() const { return !gzipped_ || ended_; }

  /// Reads up to `count` bytes; fewer at the end of the file.
  std::size_t read(void* to, std::size_t count) {
    if (!gzipped_) {
      const std::size_t here = std::min(count, bytes_.size() - at_);
      std::copy_n(bytes_.data() + at_, here, static_cast<std::byte*>(to));
      at_ += here;
      return here;
    }
    std::size_t done = 0;
    while (done < count && !ended_) {
      stream_.next_out = static_cast<Bytef*>(to) + done;
      stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(count - done, 1u << 30));
      const uInt before = stream_.avail_out;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += before - stream_.avail_out;
      if (status == Z_STREAM_END) {
        ended_ = true;
      } else if (status == Z_BUF_ERROR ||
                 (status == Z_OK && stream_.avail_in == 0 && stream_.avail_out > 0)) {
        break;  // the compressed data ends early: the caller finds bytes missing
      } else if (status != Z_OK) {
        fail(name_, fmt::format("its gzip data is damaged ({})",
                                stream_.msg != nullptr ? stream_.msg : "zlib error"));
      }
    }
    return done;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view name_;
  std::size_t at_ = 0;
  bool gzipped_ = false;
  bool ended_ = false;
  z_stream stream_{};
};

std::optional<DType> dtype_of_code(unsigned char code) {
  switch (code) {
    case 8:
      return DType::uint8;
    case 9:
      return DType::int8;
    case 11:
      return DType::int16;
    case 12:
      return DType::int32;
    case 13:
      return DType::float32;
    case 14:
      return DType::float64;
    default:
      return std::nullopt;
  }
}

}  // namespace

Tensor parse_idx(std::span<const std::byte> bytes, std::string_view name) {
  Source source(bytes, name);
  unsigned char head[4];
  if (source.read(head, 4) != 4)
    fail(name, "an IDX file starts with 4 bytes of type and rank; it ends before that");
  const std::optional<DType> dtype = dtype_of_code(head[2]);
  if (head[0] != 0 || head[1] != 0 || !dtype) {
    fail(name,
         fmt::format(
             "not an IDX file: it starts with {:02x} {:02x} {:02x} {:02x}; expected 00 00, a type (08, 09, "
             "0b … 0e) and a rank",
             head[0], head[1], head[2], head[3]));
  }
  if (head[3] > max_rank)
    fail(name, fmt::format("it has {} axes; a tensor has at most {}", head[3], max_rank));
  Shape shape;
  for (int axis = 0; axis < head[3]; ++axis) {
    unsigned char word[4];
    if (source.read(word, 4) != 4)
      fail(name, fmt::format("it ends within its header, at the extent of axis {}", axis));
    const std::uint32_t extent = (std::uint32_t{word[0]} << 24) | (std::uint32_t{word[1]} << 16) |
                                 (std::uint32_t{word[2]} << 8) | std::uint32_t{word[3]};
    shape.push_back(extent);
  }
  const std::optional<std::size_t> bytes_said = bytes_of(*dtype, shape);
  if (!bytes_said)
    fail(name, fmt::format("its header says shape {}, more than any file can hold", to_string(shape)));
  const std::size_t size = *bytes_said;
  if (size > source.most()) {
    fail(name, fmt::format("truncated: its header says shape {} of {}, more than a file of {} bytes can hold",
                           to_string(shape), name_of(*dtype), bytes.size()));
  }
  Tensor tensor = Tensor::empty(shape, *dtype);
  const std::size_t got = source.read(tensor.raw_data(), size);
  if (got != size) {
    fail(name, fmt::format("truncated: shape {} of {} takes {} bytes, but only {} follow the header",
                           to_string(shape), name_of(*dtype), size, got));
  }
  std::byte more;
  if (source.read(&more, 1) != 0) {
    fail(name, fmt::format("more than the {} bytes that shape {} of {} takes follow the header", size,
                           to_string(shape), name_of(*dtype)));
  }
  if (!source.complete()) fail(name, "truncated: its gzip data lacks its end, with the checksum");
  const std::size_t width = size_of(*dtype);
  if (width > 1) {
    auto* element = static_cast<unsigned char*>(tensor.raw_data());
    for (std::size_t i = 0; i < size; i += width) std::reverse(element + i, element + i + width);
  }
  return tensor;
}

Tensor read_idx(const std::string& path) {
  const InputFile file(path);
  std::vector<std::byte> bytes(file.size());
  file.read(0, bytes.data(), bytes.size());
  return parse_idx(bytes, path);
}

}  // namespace croton
