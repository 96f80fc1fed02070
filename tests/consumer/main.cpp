#include <croton/croton.h>

#include <iostream>

int main() {
  std::cout << "croton " << croton::version() << '\n';
  return 0;
}
