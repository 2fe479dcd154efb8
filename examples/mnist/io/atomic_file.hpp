// Files that appear whole or not at all: written beside their place, flushed, then renamed into it (POSIX). A
// file that `write_file` has returned from survives a crash of the machine.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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

/// The file `target`.tmp, removed again unless `commit` has moved it into place. One of that name that a
/// killed process left behind is taken over; a living process that writes the same target is waited for.
class temporary_file {
 public:
  explicit temporary_file(const std::filesystem::path& target)
      : target_(target), name_(target.string() + ".tmp") {
    // Renaming over a device would replace it (/dev/null, for one); over a directory it would fail late.
    if (std::filesystem::exists(target_) && !std::filesystem::is_regular_file(target_))
      throw std::runtime_error("cannot write " + target_.string() + ": it exists and is not a regular file");
    try {
      while (!lock()) ::close(descriptor_);
      if (::ftruncate(descriptor_, 0) != 0) fail();
    } catch (...) {
      if (descriptor_ >= 0) ::close(descriptor_);
      throw;
    }
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() {
    if (!committed_) ::unlink(name_.c_str());
    ::close(descriptor_);  // gives up the lock: last
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
    flush_folder();
  }

 private:
  /// Opens and locks the file. Returns false if it no longer has its name: whoever had the lock before has
  /// moved or removed it.
  [[nodiscard]] bool lock() {
    // Neither follows a link to somewhere else nor waits for the reader of a pipe.
    descriptor_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (descriptor_ < 0) fail();
    while (::flock(descriptor_, LOCK_EX) != 0)
      if (errno != EINTR) fail();
    struct stat mine {
    }, named{};
    if (::fstat(descriptor_, &mine) != 0) fail();
    if (!S_ISREG(mine.st_mode)) {
      errno = EEXIST;
      fail();
    }
    return ::lstat(name_.c_str(), &named) == 0 && named.st_dev == mine.st_dev && named.st_ino == mine.st_ino;
  }

  /// Makes the new name last. A file system that cannot do that for folders is left to its own ways.
  void flush_folder() const {
    const auto folder = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;  // a folder that may be written but not read
    const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL;
    const int reason = errno;
    ::close(descriptor);
    errno = reason;
    if (failed) fail();
  }

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
