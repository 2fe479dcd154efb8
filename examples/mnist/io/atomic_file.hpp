// Files that appear whole or not at all: written beside their place, flushed, then renamed into it (POSIX).
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>

namespace mnist {
namespace detail {

/// A new file beside `target`, removed again unless `commit` has moved it into place.
class temporary_file {
 public:
  explicit temporary_file(const std::filesystem::path& target)
      : target_(target), name_(target.string() + "." + std::to_string(::getpid()) + ".tmp") {
    // Renaming over a device would replace it (/dev/null, for one); over a directory it would fail late.
    if (std::filesystem::exists(target_) && !std::filesystem::is_regular_file(target_))
      throw std::runtime_error("cannot write " + target_.string() + ": it exists and is not a regular file");
    ::unlink(name_.c_str());  // left behind by a dead process of the same number
    descriptor_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail();
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() {
    ::close(descriptor_);
    if (!committed_) ::unlink(name_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written >= 0)
        bytes = bytes.subspan(static_cast<std::size_t>(written));
      else if (errno != EINTR)
        fail();
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0 || ::rename(name_.c_str(), target_.c_str()) != 0) fail();
    committed_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw std::runtime_error("cannot write " + target_.string() + ": " + std::strerror(errno));
  }

  std::filesystem::path target_;
  std::string name_;
  int descriptor_ = -1;
  bool committed_ = false;
};

}  // namespace detail

/// Writes `bytes` to `path`, replacing a file of that name in one step: readers see the old content or the
/// new one, and a failure leaves the old. Throws std::runtime_error naming the path and the system's reason.
inline void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  detail::temporary_file file(path);
  file.write(bytes);
  file.commit();
}

/// Throws std::runtime_error unless `path` can be written now; leaves nothing behind and an existing file
/// alone.
inline void require_writable(const std::filesystem::path& path) { detail::temporary_file probe(path); }

}  // namespace mnist
