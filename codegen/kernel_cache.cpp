#include "croton/codegen/kernel_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "croton/codegen/kernel_files.h"

namespace croton {

namespace {

constexpr char magic[8] = {'c', 'r', 'o', 't', 'o', 'n', 'K', '1'};
constexpr std::string_view suffix = ".kernel";

struct Header {
  char magic[8];
  std::uint64_t key[2];
  std::uint64_t bytes;
  std::uint64_t checksum[2];
};

struct CacheState {
  std::mutex mutex;
  bool is_chosen = false;
  std::string folder;
  bool has_checked = false;  ///< the rest is about `folder`
  bool is_usable = false;
  std::string reason;
  bool has_warned = false;
  std::function<void(const std::string&)> warning;
};

CacheState& state() {
  static CacheState* const state = new CacheState;  // outlives every static kernel
  return *state;
}

std::string default_folder() {
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base != nullptr && base[0] == '/') {
    return std::string(base) + "/croton";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    return std::string(home) + "/.cache/croton";
  }
  return {};
}

/// Makes a folder and those above it, all for the user alone.
void make_folders(const std::string& path) {
  for (std::size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at + 1);
    ::mkdir(path.substr(0, at).c_str(), 0700);
  }
}

/// Why the folder cannot be trusted, or nothing.
std::string refusal(const std::string& folder) {
  struct stat info{};
  if (::lstat(folder.c_str(), &info) != 0) {
    return fmt::format("the kernel cache {} cannot be made: {}", folder, std::strerror(errno));
  }
  if (!S_ISDIR(info.st_mode)) return fmt::format("the kernel cache {} is not a folder", folder);
  if (info.st_uid != ::geteuid()) return fmt::format("the kernel cache {} belongs to another user", folder);
  if ((info.st_mode & 022) != 0) {
    return fmt::format(
        "others may write to the kernel cache {} (mode {:04o}): chmod go-w it, or choose another", folder,
        info.st_mode & 07777);
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fmt::format("the kernel cache {} cannot be written to", folder);
  }
  return {};
}

const std::string& chosen_folder(CacheState& s) {
  if (!s.is_chosen) {
    s.folder = default_folder();
    s.is_chosen = true;
  }
  return s.folder;
}

/// Reports why the cache is out of use, the first time. `lock` is released for the call.
void warn(std::unique_lock<std::mutex>& lock, const std::string& reason) {
  CacheState& s = state();
  if (s.has_warned) return;
  s.has_warned = true;
  const std::function<void(const std::string&)> warning = s.warning;
  lock.unlock();
  if (warning) warning(reason);
}

/// The folder, made and examined once; empty when it is not used.
std::string usable_folder() {
  CacheState& s = state();
  std::unique_lock lock(s.mutex);
  const std::string folder = chosen_folder(s);
  if (folder.empty()) return {};
  if (!s.has_checked) {
    make_folders(folder);
    s.reason = refusal(folder);
    s.is_usable = s.reason.empty();
    s.has_checked = true;
  }
  if (s.is_usable) return folder;
  warn(lock, s.reason);
  return {};
}

std::string path_of(const std::string& folder, const KernelKey& key) {
  return folder + '/' + key.hex() + std::string(suffix);
}

bool is_entry(std::string_view name) { return name.size() == 32 + suffix.size() && name.ends_with(suffix); }

std::optional<std::string> read_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return std::nullopt;
  struct stat info{};
  std::string text;
  bool is_fine = ::fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == ::geteuid() &&
                 (info.st_mode & 022) == 0;
  if (is_fine) {
    text.resize(static_cast<std::size_t>(info.st_size));
    for (std::size_t done = 0; done < text.size() && is_fine;) {
      const ssize_t n = ::read(file, text.data() + done, text.size() - done);
      if (n <= 0 && errno == EINTR) continue;
      is_fine = n > 0;
      done += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
  }
  ::close(file);
  if (!is_fine) return std::string();  // there, but not to be trusted
  return text;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Calls f(path, bytes) for every entry.
template <class F>
void for_each_entry(const std::string& folder, const F& f) {
  DIR* const listing = ::opendir(folder.c_str());
  if (listing == nullptr) return;
  while (const dirent* entry = ::readdir(listing)) {
    if (!is_entry(entry->d_name)) continue;
    const std::string path = folder + '/' + entry->d_name;
    struct stat info{};
    if (::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode))
      f(path, static_cast<std::int64_t>(info.st_size));
  }
  ::closedir(listing);
}

}  // namespace

std::string KernelKey::hex() const { return fmt::format("{:016x}{:016x}", words[0], words[1]); }

std::optional<std::string> read_cached_object(const KernelKey& key) {
  const std::string folder = usable_folder();
  if (folder.empty()) return std::nullopt;
  const std::string path = path_of(folder, key);
  std::optional<std::string> text = read_file(path);
  if (!text) return std::nullopt;
  Header header{};
  if (text->size() >= sizeof header) {
    std::memcpy(&header, text->data(), sizeof header);
    const std::string_view object = std::string_view(*text).substr(sizeof header);
    const KernelKey checksum = hash_of(object);
    if (std::memcmp(header.magic, magic, sizeof magic) == 0 && header.key[0] == key.words[0] &&
        header.key[1] == key.words[1] && header.bytes == object.size() &&
        header.checksum[0] == checksum.words[0] && header.checksum[1] == checksum.words[1]) {
      return std::string(object);
    }
  }
  ::unlink(path.c_str());
  return std::nullopt;
}

void write_cached_object(const KernelKey& key, std::string_view object) {
  static std::atomic<std::uint64_t> counter{0};
  const std::string folder = usable_folder();
  if (folder.empty()) return;
  const KernelKey checksum = hash_of(object);
  Header header{};
  std::memcpy(header.magic, magic, sizeof magic);
  header.key[0] = key.words[0];
  header.key[1] = key.words[1];
  header.bytes = object.size();
  header.checksum[0] = checksum.words[0];
  header.checksum[1] = checksum.words[1];
  const std::string goal = path_of(folder, key);
  const std::string temporary = fmt::format("{}.{}.{}.tmp", goal, ::getpid(), counter.fetch_add(1));
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool is_done = file >= 0;
  if (is_done) {
    is_done =
        write_all(file, {reinterpret_cast<const char*>(&header), sizeof header}) && write_all(file, object);
    is_done = ::close(file) == 0 && is_done;
    is_done = is_done && ::rename(temporary.c_str(), goal.c_str()) == 0;
  }
  if (is_done) return;
  const std::string reason =
      fmt::format("cannot write to the kernel cache {}: {}", folder, std::strerror(errno));
  if (file >= 0) ::unlink(temporary.c_str());
  std::unique_lock lock(state().mutex);
  warn(lock, reason);
}

void set_kernel_cache_folder(std::string folder) {
  CacheState& s = state();
  const std::lock_guard lock(s.mutex);
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  s.folder = std::move(folder);
  s.is_chosen = true;
  s.has_checked = false;
  s.has_warned = false;
}

std::string kernel_cache_folder() {
  CacheState& s = state();
  const std::lock_guard lock(s.mutex);
  return chosen_folder(s);
}

void set_kernel_cache_warning(std::function<void(const std::string&)> sink) {
  CacheState& s = state();
  const std::lock_guard lock(s.mutex);
  s.warning = std::move(sink);
}

KernelCacheInfo kernel_cache_info() {
  KernelCacheInfo info;
  info.folder = kernel_cache_folder();
  if (info.folder.empty()) {
    info.reason = "no folder is set";
    return info;
  }
  struct stat status{};
  if (::lstat(info.folder.c_str(), &status) != 0 && errno == ENOENT) {
    info.is_usable = true;  // it will be made when the first kernel is kept
    return info;
  }
  info.reason = refusal(info.folder);
  info.is_usable = info.reason.empty();
  for_each_entry(info.folder, [&](const std::string&, std::int64_t bytes) {
    ++info.entries;
    info.bytes += bytes;
  });
  return info;
}

std::int64_t clear_kernel_cache() {
  std::int64_t removed = 0;
  const std::string folder = kernel_cache_folder();
  if (folder.empty()) return 0;
  for_each_entry(folder,
                 [&](const std::string& path, std::int64_t) { removed += ::unlink(path.c_str()) == 0; });
  return removed;
}

}  // namespace croton
