#include "croton/graph/npy_header.h"

#include <fmt/format.h>

#include <bit>
#include <optional>

#include "croton/graph/error.h"
#include "croton/graph/tensor_bytes.h"

namespace croton {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

std::string printable(std::string_view text) {
  std::string result;
  for (char c : text.substr(0, 60)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      result += c;
    else
      result += fmt::format("\\x{:02x}", byte);
  }
  return result + (text.size() > 60 ? "…" : "");
}

/// The dictionary of a header: a Python literal of three known keys.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view name) : text_(text), rest_(text), name_(name) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr" && !has_descr) {
        has_descr = true;
        descr(header);
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        header.fortran_order = boolean();
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        header.shape = shape();
      } else {
        fail(fmt::format("the key '{}' is unknown or stands twice", printable(key)));
      }
      if (!accept(',') && (skip_blanks(), !rest_.starts_with('}'))) fail("expected , or }");
    }
    skip_blanks();
    if (!rest_.empty()) fail("expected nothing after }");
    if (!has_descr || !has_order || !has_shape) fail("expected the keys descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw FileError(fmt::format("{}: the .npy header is corrupt: {} at its character {}; it reads {}", name_,
                                what, text_.size() - rest_.size() + 1, printable(text_)));
  }
  [[noreturn]] void refuse(std::string_view descr, std::string_view what) const {
    throw FileError(fmt::format(
        "{}: its elements are {} (descr '{}'); Croton reads bool, int8 to int64, uint8 to uint64, "
        "float16, float32, float64 and V2 (bfloat16)",
        name_, what, printable(descr)));
  }

  void skip_blanks() {
    const std::size_t first = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
  }
  bool accept(char c) {
    skip_blanks();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("expected {}", c));
  }
  std::string_view string() {
    skip_blanks();
    const char quote = rest_.empty() ? 0 : rest_.front();
    if (quote != '\'' && quote != '"') fail("expected a string");
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) fail("expected the end of a string");
    const std::string_view value = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return value;
  }
  bool boolean() {
    skip_blanks();
    for (std::string_view word : {"True", "False"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return word == "True";
    }
    fail("expected True or False");
  }
  std::int64_t extent() {
    skip_blanks();
    std::int64_t value = 0;
    std::size_t digits = 0;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, rest_.front() - '0', &value))
        fail("an extent is too large");
      rest_.remove_prefix(1);
      ++digits;
    }
    if (digits == 0) fail("expected an extent, an integer from 0 on,");
    if (rest_.starts_with('L')) rest_.remove_prefix(1);  // as Python 2 wrote long integers
    return value;
  }
  Shape shape() {
    Shape result;
    expect('(');
    while (!accept(')')) {
      if (result.size() == max_rank)
        throw FileError(fmt::format("{}: the array has more than {} axes", name_, max_rank));
      result.push_back(extent());
      const bool comma = accept(',');
      if (!comma && (skip_blanks(), !rest_.starts_with(')'))) fail("expected , or )");
      // Python reads (3) as a number.
      if (!comma && result.size() == 1) fail("expected , after the only extent");
    }
    return result;
  }

  void descr(NpyHeader& header) {
    skip_blanks();
    if (rest_.starts_with('[')) refuse(rest_.substr(0, rest_.find(']') + 1), "structures");
    const std::string_view text = string();
    std::string_view kind = text;
    char order = '|';
    if (!kind.empty() && std::string_view("<>=|").find(kind.front()) != std::string_view::npos) {
      order = kind.front();
      kind.remove_prefix(1);
    }
    header.big_endian = order == '>';
    static constexpr std::pair<std::string_view, DType> known[] = {
        {"b1", DType::bool_},    {"i1", DType::int8},    {"i2", DType::int16},   {"i4", DType::int32},
        {"i8", DType::int64},    {"u1", DType::uint8},   {"u2", DType::uint16},  {"u4", DType::uint32},
        {"u8", DType::uint64},   {"f2", DType::float16}, {"f4", DType::float32}, {"f8", DType::float64},
        {"V2", DType::bfloat16}, {"?", DType::bool_},
    };
    for (const auto& [name, dtype] : known) {
      if (name != kind) continue;
      header.dtype = dtype;
      return;
    }
    if (kind.starts_with('O')) refuse(text, "Python objects");
    if (kind.starts_with('c')) refuse(text, "complex numbers");
    if (kind.starts_with('S') || kind.starts_with('U') || kind.starts_with('a')) refuse(text, "strings");
    if (kind.starts_with('M') || kind.starts_with('m')) refuse(text, "dates or times");
    if (kind.starts_with('f')) refuse(text, "floating point of another size");
    if (kind.starts_with('V')) refuse(text, "raw bytes");
    refuse(text, "of an unknown type");
  }

  std::string_view text_, rest_, name_;
};

std::size_t little_endian(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

NpyHeader parse_npy_header(std::span<const std::byte> start, std::uint64_t total, std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text.starts_with("PK\3\4") || text.starts_with("PK\5\6"))
    throw FileError(
        fmt::format("{}: this is an archive (.npz), not a .npy file: read it with load_npz", name));
  if (!text.starts_with(magic))
    throw FileError(fmt::format("{}: not a .npy file: expected it to begin with \"{}\", got \"{}\"{}", name,
                                printable(magic), printable(text.substr(0, magic.size())),
                                text.empty() ? " (it is empty)" : ""));
  auto truncated = [&](std::uint64_t needed) {
    return FileError(fmt::format("{}: the .npy file is truncated: its header needs {} bytes, there are {}",
                                 name, needed, total));
  };
  if (text.size() < magic.size() + 2) throw truncated(magic.size() + 4);
  const int version = static_cast<unsigned char>(text[magic.size()]);
  if (version < 1 || version > 3)
    throw FileError(fmt::format("{}: the .npy version is {}.{}; Croton reads 1, 2 and 3", name, version,
                                static_cast<unsigned char>(text[magic.size() + 1])));
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t begin = magic.size() + 2 + length_bytes;
  if (text.size() < begin) throw truncated(begin);
  const std::size_t length = little_endian(text.substr(begin - length_bytes, length_bytes));
  if (length > longest_npy_header - begin)
    throw FileError(
        fmt::format("{}: the .npy header is corrupt: it says that it takes {} bytes", name, length));
  if (text.size() < begin + length) throw truncated(begin + length);

  NpyHeader header = HeaderParser(text.substr(begin, length), name).parse();
  header.data_offset = begin + length;
  const std::optional<std::size_t> bytes = bytes_of(header.dtype, header.shape);
  header.data_bytes = bytes.value_or(0);
  const std::uint64_t there = total - header.data_offset;
  if (!bytes || header.data_bytes != there)
    throw FileError(fmt::format(
        "{}: the .npy file is {}: {} elements of shape {} take {} bytes, {} follow the header", name,
        !bytes || header.data_bytes > there ? "truncated" : "corrupt", name_of(header.dtype),
        to_string(header.shape), bytes ? std::to_string(*bytes) : "more than 2^62", there));
  return header;
}

std::string npy_header_text(DType dtype, const Shape& shape) {
  static_assert(std::endian::native == std::endian::little);
  const std::size_t size = size_of(dtype);
  const char kind = is_bool(dtype)               ? 'b'
                    : is_signed_integer(dtype)   ? 'i'
                    : is_unsigned_integer(dtype) ? 'u'
                    : dtype == DType::bfloat16   ? 'V'
                                                 : 'f';
  std::string text = fmt::format("{{'descr': '{}{}{}', 'fortran_order': False, 'shape': {}, }}",
                                 size == 1 ? '|' : '<', kind, size, to_string(shape));
  const std::size_t before = magic.size() + 4;
  const std::size_t padded = (before + text.size() + 1 + 63) / 64 * 64;
  text.append(padded - before - text.size() - 1, ' ');
  text += '\n';
  std::string header(magic);
  header += {'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace croton
