#include <unistd.h>

#include <iostream>

#include "program.hpp"

int main(int argc, char** argv) {
  return mnist::run_program(argc, argv, std::cout, std::cerr, isatty(STDOUT_FILENO) != 0);
}
