#pragma once

#include <croton/croton.h>

#include <functional>
#include <string>
#include <vector>

/// What one pass of one way to compute took.
struct PassTime {
  std::string run, name, pass;
  double seconds = 0;  // a call; the least of the trials
  double flops = 0;
  std::string algorithm;  // what the compiler chose
  std::string failure;    // instead of a time
};

/// Measures the three passes of convolutions and reports a line each, on standard output and in a file:
///
///     name                                               ==> fprop         ==>      12     12345.6
///     us   1.234 TFLOP/s  CorrMM
///
/// where the number behind the last arrow is whole milliseconds.
class PassReport {
 public:
  /// `trials` of `calls` calls each; the least counts. The file may be empty for none.
  PassReport(int trials, int calls, std::string file);
  void line(const std::string& text);
  /// Compiles what `make` makes and measures it; what it throws is a FAILED line. Throws Interrupted when the
  /// user wants the program to end.
  void measure(const std::string& run, const std::string& name, const std::string& pass, double flops,
               const std::function<croton::Function()>& make);
  const std::vector<PassTime>& times() const { return times_; }
  /// The file; croton::FileError.
  void save() const;
  void save_json(const std::string& file) const;
  /// A bar for each time, the passes of a name side by side; every run has a scale of its own.
  void save_chart(const std::string& file, const std::string& title) const;

 private:
  int trials_, calls_;
  std::string file_, text_;
  std::vector<PassTime> times_;
};

/// The three passes of Y, a convolution of X with W, as functions without arguments on shared variables,
/// which they overwrite: Y from X and W, X from the gradient of Y, W from it.
struct ConvPasses {
  croton::SharedVariable shared_x, shared_y, shared_w;
  croton::Variable x, y;  // y: made of x and shared_w
  croton::Mode mode = croton::default_mode();

  croton::Function forward(const std::string& name) const;
  croton::Function backward_inputs(const std::string& name) const;
  croton::Function backward_weights(const std::string& name) const;
  void measure(PassReport& report, const std::string& run, const std::string& name, double flops) const;
};

/// The nodes that compute convolutions in what a function ran last, with how often.
std::string convolution_labels(const croton::Function& function);
/// Where functions run. Throws croton::DeviceError.
croton::Device present_device();
/// Standard normal numbers, the same for the same seed.
croton::Tensor normal_values(const croton::Shape& shape, unsigned seed);
/// Whether the environment variable SKIP lists the name, in whatever case.
bool is_skipped(const std::string& name);
/// Throws croton::ValueError where SKIP lists what is none of these names.
void check_skipped(const std::vector<std::string>& names);
