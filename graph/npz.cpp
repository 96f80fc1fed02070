#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "croton/graph/error.h"
#include "croton/graph/input_file.h"
#include "croton/graph/npy.h"
#include "croton/graph/npy_elements.h"
#include "croton/graph/npy_header.h"

namespace croton {
namespace {

/// Deflate cannot pack more than 1032 bytes into one; an entry that says so lies.
constexpr std::uint64_t most_deflated = 1032;

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using EntryFile = std::unique_ptr<zip_file_t, CloseEntry>;
struct DiscardArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, DiscardArchive>;

[[noreturn]] void fail_to_read(std::string_view name, zip_error_t* error) {
  const int code = zip_error_code_zip(error);
  const std::string why = zip_error_strerror(error);
  zip_error_fini(error);
  if (code == ZIP_ER_OPEN || code == ZIP_ER_NOENT || code == ZIP_ER_READ)
    throw FileError(fmt::format("cannot read {}: {}", name, why));
  throw FileError(fmt::format("{}: not a readable .npz file: {}", name, why));
}

/// One .npy inside an archive.
class Entry {
 public:
  Entry(zip_t* archive, zip_uint64_t index, std::uint64_t file_size, std::string_view file) {
    zip_stat_init(&status_);
    constexpr zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive, index, 0, &status_) != 0 || (status_.valid & needed) != needed)
      throw FileError(fmt::format("{}: the archive is corrupt: entry {} has no name or size", file, index));
    where_ = fmt::format("{} ({})", file, status_.name);
    const bool stored = status_.comp_method == ZIP_CM_STORE;
    if (!stored && status_.comp_method != ZIP_CM_DEFLATE)
      throw FileError(fmt::format("{}: its compression method is {}; Croton reads 0 (stored) and 8 (deflate)",
                                  where_, status_.comp_method));
    if (status_.comp_size > file_size || (stored && status_.size != status_.comp_size) ||
        status_.size / most_deflated > status_.comp_size)
      throw FileError(fmt::format("{}: the archive is corrupt: {} bytes cannot come from {} in a file of {}",
                                  where_, status_.size, status_.comp_size, file_size));
    file_.reset(zip_fopen_index(archive, index, 0));
    if (!file_) throw FileError(fmt::format("{}: {}", where_, zip_strerror(archive)));
  }

  std::uint64_t compressed_size() const { return status_.comp_size; }

  /// The entry's name without .npy.
  std::string name() const {
    std::string_view name = status_.name;
    if (!name.ends_with(".npy") || name.size() == 4)
      throw FileError(fmt::format("{}: a .npz file holds NAME.npy entries only", where_));
    name.remove_suffix(4);
    return std::string(name);
  }

  Tensor tensor() {
    std::vector<std::byte> start(std::min<std::uint64_t>(status_.size, longest_npy_header));
    read(start.data(), start.size());
    const NpyHeader header = parse_npy_header(start, status_.size, where_);
    NpyElements elements(header);
    const std::size_t had = std::min(start.size() - header.data_offset, header.data_bytes);
    if (had) std::memcpy(elements.data(), start.data() + header.data_offset, had);
    read(static_cast<std::byte*>(elements.data()) + had, header.data_bytes - had);
    // libzip compares the checksum when it meets the end.
    std::byte beyond;
    if (zip_fread(file_.get(), &beyond, 1) != 0) corrupt();
    return elements.finish();
  }

 private:
  [[noreturn]] void corrupt() {
    throw FileError(fmt::format("{}: the archive is corrupt: {}", where_,
                                zip_error_strerror(zip_file_get_error(file_.get()))));
  }
  void read(void* data, std::size_t bytes) {
    auto* at = static_cast<std::byte*>(data);
    while (bytes > 0) {
      const zip_int64_t got = zip_fread(file_.get(), at, bytes);
      if (got < 0) corrupt();
      if (got == 0)
        throw FileError(fmt::format("{}: the archive is truncated: {} bytes are missing of {}", where_, bytes,
                                    status_.size));
      at += got;
      bytes -= static_cast<std::size_t>(got);
    }
  }

  zip_stat_t status_{};
  std::string where_;
  EntryFile file_;
};

NamedTensors read_archive(zip_t* archive, std::uint64_t file_size, std::string_view file) {
  NamedTensors tensors;
  std::set<std::string> names;
  std::uint64_t packed = 0;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    Entry entry(archive, static_cast<zip_uint64_t>(i), file_size, file);
    // Entries that share their bytes would unpack to any size.
    packed += entry.compressed_size();
    if (packed > file_size)
      throw FileError(fmt::format("{}: the archive is corrupt: its entries overlap", file));
    std::string name = entry.name();
    if (!names.insert(name).second)
      throw FileError(fmt::format("{}: two entries are called {}.npy", file, name));
    tensors.add(std::move(name), entry.tensor());
  }
  return tensors;
}

NamedTensors read_source(zip_source_t* source, std::string_view file, zip_error_t* error) {
  if (!source) fail_to_read(file, error);
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_source_stat(source, &status) != 0 || !(status.valid & ZIP_STAT_SIZE)) {
    zip_error_set(error, zip_error_code_zip(zip_source_error(source)),
                  zip_error_code_system(zip_source_error(source)));
    zip_source_free(source);
    fail_to_read(file, error);
  }
  if (status.size == 0) {  // libzip takes it for an archive without entries
    zip_source_free(source);
    throw FileError(fmt::format("{}: not a readable .npz file: it is empty", file));
  }
  const Archive archive(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, error));
  if (!archive) {
    zip_source_free(source);
    fail_to_read(file, error);
  }
  return read_archive(archive.get(), status.size, file);
}

}  // namespace

NamedTensors load_npz(const std::string& path) {
  const InputFile file(path);  // says better than libzip what is wrong with a path
  zip_error_t error;
  zip_error_init(&error);
  return read_source(zip_source_file_create(path.c_str(), 0, -1, &error), path, &error);
}

NamedTensors parse_npz(std::span<const std::byte> bytes, std::string_view name) {
  zip_error_t error;
  zip_error_init(&error);
  return read_source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error), name, &error);
}

void save_npz(const std::string& path, const NamedTensors& tensors, bool compressed) {
  if (tensors.empty())
    throw ValueError(fmt::format("cannot save {}: there is no tensor to put into it", path));
  // libzip reads headers and elements when it closes the archive; until then they stay here.
  struct Piece {
    std::string header;
    Tensor tensor;
    zip_buffer_fragment_t fragments[2];
  };
  std::vector<Piece> pieces;
  pieces.reserve(tensors.size());
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || name.find('\0') != std::string::npos)
      throw ValueError(
          fmt::format("cannot save {}: a tensor in it needs a name without null characters", path));
    if (!names.insert(name).second)
      throw ValueError(fmt::format("cannot save {}: two tensors are called \"{}\"", path, name));
    if (!tensor.defined())
      throw ValueError(fmt::format("cannot save {}: the tensor \"{}\" is undefined", path, name));
    Piece& piece = pieces.emplace_back();
    piece.tensor = tensor.to_host().contiguous();
    piece.header = npy_header_text(piece.tensor.dtype(), piece.tensor.shape());
    piece.fragments[0] = {reinterpret_cast<zip_uint8_t*>(piece.header.data()), piece.header.size()};
    piece.fragments[1] = {static_cast<zip_uint8_t*>(piece.tensor.raw_data()), piece.tensor.bytes()};
  }
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  auto fail = [&](zip_error_t* error) {
    throw FileError(fmt::format("cannot write {}: {}", path, zip_error_strerror(error)));
  };
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    fail(&error);
  }
  std::size_t i = 0;
  for (const auto& [name, tensor] : tensors) {
    Piece& piece = pieces[i++];
    zip_source_t* source =
        zip_source_buffer_fragment(archive.get(), piece.fragments, piece.tensor.bytes() ? 2 : 1, 0);
    if (!source) fail(zip_get_error(archive.get()));
    const zip_int64_t index = zip_file_add(archive.get(), (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      fail(zip_get_error(archive.get()));
    }
    const auto at = static_cast<zip_uint64_t>(index);
    // 1980-01-01, the zero of the format: files of equal tensors are equal.
    if (zip_set_file_compression(archive.get(), at, compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive.get(), at, 0, 0x21, 0) != 0)
      fail(zip_get_error(archive.get()));
  }
  if (zip_close(archive.get()) != 0) fail(zip_get_error(archive.get()));
  static_cast<void>(archive.release());
}

}  // namespace croton
