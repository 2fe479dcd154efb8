// Replaces operator new for all tests, in a file of its own: where a compiler can inline only one of new and
// delete, it warns of a mismatch.
#include <cstdlib>
#include <new>

#include "support/allocations.hpp"

std::atomic<std::size_t> support::allocations{0};

// The array, nothrow and sized forms forward to these by default.
void* operator new(std::size_t size) {
  ++support::allocations;
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
