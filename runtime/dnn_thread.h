#pragma once

extern "C" {
// Of the OpenMP library that oneDNN runs on; its header comes with only some compilers.
int omp_get_max_threads(void);
void omp_set_num_threads(int);
}

namespace croton {

/// While one lives, oneDNN does what this thread asks of it on this thread alone. Work is cut in slices for
/// the threads of our pool instead: workers of OpenMP would go on spinning after the call, on the cores that
/// the pool needs next.
class DnnOnThisThread {
 public:
  DnnOnThisThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~DnnOnThisThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  DnnOnThisThread(const DnnOnThisThread&) = delete;
  DnnOnThisThread& operator=(const DnnOnThisThread&) = delete;

 private:
  int before_;
};

}  // namespace croton
