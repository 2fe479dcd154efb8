#include <diffusion/diffusion.hpp>

int main() { return diffusion::cosine_schedule(10).steps() == 10 ? 0 : 1; }
