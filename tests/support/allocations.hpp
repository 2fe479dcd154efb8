#pragma once

#include <atomic>
#include <cstddef>

namespace support {

/// Number of calls of operator new by this program so far (counting_new.cpp).
extern std::atomic<std::size_t> allocations;

}  // namespace support
