// Ctrl-C as a request to stop at the next good moment.
#pragma once

#include <csignal>

namespace mnist {

/// While it lives, the first SIGINT or SIGTERM only makes requested() true; a second one ends the program as
/// usual. One at a time.
class interrupt {
 public:
  interrupt() {
    flag() = 0;
    struct sigaction request {};
    request.sa_handler = [](int) { flag() = 1; };
    request.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigemptyset(&request.sa_mask);
    sigaction(SIGINT, &request, &old_int_);
    sigaction(SIGTERM, &request, &old_term_);
  }
  interrupt(const interrupt&) = delete;
  interrupt& operator=(const interrupt&) = delete;
  ~interrupt() {
    sigaction(SIGINT, &old_int_, nullptr);
    sigaction(SIGTERM, &old_term_, nullptr);
  }

  [[nodiscard]] bool requested() const { return flag() != 0; }

 private:
  static volatile std::sig_atomic_t& flag() {
    static volatile std::sig_atomic_t value = 0;
    return value;
  }

  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace mnist
