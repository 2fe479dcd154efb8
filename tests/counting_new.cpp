// Replaces operator new for all tests, in a file of its own: where a compiler can inline only one of new and
// delete, it warns of a mismatch.
#include <cstdlib>
#include <new>

#include "support/allocations.hpp"

std::atomic<std::size_t> support::allocations{0};

// The array forms forward to these by default, or have a pair of their own (AddressSanitizer).
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++support::allocations;
  return std::malloc(size > 0 ? size : 1);
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
